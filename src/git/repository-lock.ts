import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { Mutex } from 'async-mutex';
import waitFor from 'p-wait-for';

export interface LockOptions {
  signal?: AbortSignal | undefined;
  /** How long to wait for the lock, in milliseconds; one minute unless told. The work itself has no limit. */
  timeoutMs?: number;
  /** Fetching takes long and does not disturb the making of worktrees, so it has a lock of its own. */
  purpose?: 'worktrees' | 'fetch';
}

/**
 * Does `work` while nobody else on this host, in this process or another, holds the lock of the same git directory.
 * git itself fails when worktrees are added and pruned at once. The lock is a bound socket: the kernel frees it when its holder dies.
 */
export async function withRepositoryLock<T>(
  gitDirectory: string,
  work: () => Promise<T>,
  { signal, timeoutMs = 60_000, purpose = 'worktrees' }: LockOptions = {},
): Promise<T> {
  const name = lockName(gitDirectory, purpose);
  const deadline = AbortSignal.timeout(timeoutMs);
  const giveUp = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  try {
    await using _turn = await takeTurn(name, giveUp);
    await using _socket = await bindWhenFree(name, giveUp);
    return await work();
  } catch (error) {
    if (error !== deadline.reason || !deadline.aborted) throw error;
    throw new Error(
      `the lock of ${gitDirectory} was not free within ${timeoutMs} ms: other workers of this host are busy with its worktrees; try again later`,
      { cause: error },
    );
  }
}

/** The directory may be known by several paths; device and inode are the same for all of them. Without a wait, in which those who ask would change places. */
function lockName(gitDirectory: string, purpose: string): string {
  const { dev, ino } = statSync(gitDirectory, { bigint: true });
  const hash = createHash('sha256').update(`${dev}:${ino}:${purpose}`).digest('hex');
  // A leading NUL makes it an abstract socket: it has no file, so nothing is left behind.
  return `\0agent-cells-${hash.slice(0, 32)}`;
}

const turns = new Map<string, Mutex>();

/** Within one process the waiting stand in a queue, and only the first of them looks at the socket. */
async function takeTurn(name: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const mutex = turns.get(name) ?? new Mutex();
  turns.set(name, mutex);
  const taken = mutex.acquire();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    const release = await Promise.race([taken, aborted.promise]);
    return {
      async [Symbol.asyncDispose]() {
        release();
        if (!mutex.isLocked() && turns.get(name) === mutex) turns.delete(name);
      },
    };
  } catch (error) {
    void taken.then((release) => release());
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function bindWhenFree(name: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const server = await waitFor(
    async () => {
      const bound = await bind(name);
      return bound !== null && waitFor.resolveWith(bound);
    },
    { interval: 15, signal },
  );
  return {
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A bound socket, or null when another process has it. */
async function bind(name: string): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy());
  const bound = Promise.withResolvers<Server | null>();
  server.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'EADDRINUSE' ? bound.resolve(null) : bound.reject(error),
  );
  server.listen({ path: name, exclusive: true }, () => bound.resolve(server));
  return bound.promise;
}
