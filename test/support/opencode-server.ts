import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { cellMarker } from '../../src/domain/names.ts';
import { opencodeBinary } from '../../src/opencode/binary.ts';
import { prepareHome, serverEnvironment } from '../../src/opencode/profile.ts';
import { connectServer } from '../../src/opencode/server.ts';
import { processesMarked } from './processes.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** An OpenCode server with a home of its own. What its agents started ends with it. */
export interface OpencodeServer extends AsyncDisposable {
  /** A client of the server for work in a directory. */
  client(directory: string): OpencodeClient;
  /** The value of the variable `AGENT_CELLS_CELL_ID` in all that the server starts. */
  marker: string;
}

/** Starts the real OpenCode with a configuration; it listens when this resolves. */
export async function startOpencodeServer(config: object, modelsFile: string | null = null): Promise<OpencodeServer> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await temporaryDirectory());
  await prepareHome(home.path);
  const configFile = join(home.path, 'opencode.json');
  await writeFile(configFile, JSON.stringify(config));
  const marker = `test-${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  stack.defer(() => endMarked(marker));
  const server = execa(opencodeBinary, ['serve', '--hostname', '127.0.0.1', '--port', '0'], {
    cwd: home.path,
    extendEnv: false,
    env: serverEnvironment({
      home: home.path,
      password,
      configFile,
      modelsFile,
      path: process.env['PATH'] ?? '',
      env: { [cellMarker]: marker },
      providerEnvironment: {},
    }),
    stdin: 'ignore',
    all: true,
    reject: false,
  });
  const port = await listeningPort(server.all);
  const owned = stack.move();
  return {
    marker,
    client: (directory) => connectServer({ port, password, worktree: directory }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A request that is sent before the server says that it listens is never answered. */
async function listeningPort(output: AsyncIterable<unknown>): Promise<number> {
  let said = '';
  for await (const piece of output) {
    said += String(piece);
    const port = /listening on \S+:(\d+)/.exec(said)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`OpenCode ended before it listened: ${said}`);
}

/** Ends all processes of a marked server. What an agent started in a session of its own is no child of the server, but carries its marker. */
export async function endMarked(marker: string): Promise<void> {
  const nothingLeft = async () => {
    const left = await processesMarked(cellMarker, marker);
    for (const { pid } of left) kill(pid);
    return left.length === 0;
  };
  await waitFor(nothingLeft, { interval: 50, timeout: 10_000 });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}
