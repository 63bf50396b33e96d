import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { codeOf, createFile } from './create-file.ts';
import { hostPaths } from './paths.ts';

/** Another worker has the lock of the state directory. */
export class HostLocked extends Error {
  override readonly name = 'HostLocked';
}

/** Held until it is released, or until this process ends in whatever way: the kernel frees it. */
export interface HostLock extends AsyncDisposable {
  /** The id of the state directory. */
  readonly id: string;
  release(): Promise<void>;
}

/**
 * Takes the state directory for this worker: two workers on one would reap each other's cells.
 *
 * The lock is an abstract Unix socket. It holds among the processes of one machine that share a network namespace.
 *
 * @throws HostLocked
 */
export async function acquireHostLock(stateDirectory: string): Promise<HostLock> {
  const id = await stateDirectoryId(stateDirectory);
  const server = createServer((connection) => connection.destroy());
  try {
    server.listen(lockName(id));
    await once(server, 'listening');
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw error;
    throw new HostLocked(`another worker runs on this state directory: ${stateDirectory}`, { cause: error });
  }
  // The lock is for as long as the worker works, and no reason for it to work on.
  server.unref();
  const release = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { id, release, [Symbol.asyncDispose]: release };
}

/** Whether a worker has the lock of the state directory just now. */
export async function isHostLocked(stateDirectory: string): Promise<boolean> {
  const connection = connect(lockName(await stateDirectoryId(stateDirectory)));
  try {
    await once(connection, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
}

// A leading NUL makes it an abstract socket: it has no file, so nothing is left behind.
const lockName = (id: string): string => `\0agent-cells-${id}`;

/**
 * The id of a state directory, made when it is first asked for. It names the lock and marks the processes of its cells:
 * a name that others could guess could be taken by them.
 */
export async function stateDirectoryId(stateDirectory: string): Promise<string> {
  const { id: file } = hostPaths(stateDirectory);
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  await createFile(file, randomBytes(16).toString('hex'));
  const id = await readFile(file, 'utf8');
  if (!/^[0-9a-f]{32}$/.test(id)) throw new Error(`${file} does not hold the id of a state directory`);
  return id;
}
