import { watch } from 'node:fs';
import { mkdir, rm, writeFile, open } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { hostPaths } from '../../../src/cell/paths.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import type { HeldCell } from '../held-cell.ts';
import { atEachStep, type Fault } from '../pair.ts';
import { clockFile } from '../settings.ts';
import type { Stage } from '../stage.ts';

const hour = 60 * 60_000;

const jump = (name: string, byMs: number): Fault => ({
  name,
  setting: 'shifted-clock',
  pairs: atEachStep(name),
  async strikeHost({ directory }) {
    await writeFile(clockFile(directory), String(byMs));
    // The worker looks at its clock again and again: the jump is seen before the cells go on.
    await delay(5_000);
  },
});

/** Full for as long as the cells need to notice, and then there is room again. */
async function fillDisk({ directory }: Stage): Promise<void> {
  const file = join(directory, 'disk', 'filler');
  await using handle = await open(file, 'w');
  const block = Buffer.alloc(1 << 20);
  const fits = () =>
    handle.write(block).then(
      () => true,
      () => false,
    );
  while (await fits());
  void delay(20_000).then(() => rm(file, { force: true }));
}

/** Where it strikes, a cell may end with a failure: what must hold is that it says so, that nothing is wrong, and nothing left. */
const anyEnd = ['committed', 'reverted', 'SpawnFailed', 'AgentFailed', 'ModelUnavailable', 'CommitFailed', 'CellLost'];

/** A stranger listens on the port as soon as the cell has chosen it. */
async function takePort(cell: HeldCell): Promise<void> {
  const { ports } = hostPaths(cell.stage.fleet.stateDirectory);
  await mkdir(ports, { recursive: true, mode: 0o700 });
  const taken: Server[] = [];
  const watcher = watch(ports, (_event, name) => {
    if (taken.length === 0 && name !== null && /^\d+$/.test(name)) taken.push(listenOn(Number(name)));
  });
  cell.afterwards.defer(async () => {
    watcher.close();
    await Promise.all(taken.map((server) => server[Symbol.asyncDispose]().catch(() => undefined)));
  });
}

function listenOn(port: number): Server {
  const server = createServer((socket) => socket.destroy());
  // It comes too late: then this was not the moment between.
  server.on('error', () => undefined);
  return server.listen(port, '127.0.0.1');
}

/** What the machine under the cells may do. */
export const machineFaults: readonly Fault[] = [
  jump('clock jumps an hour ahead', hour),
  jump('clock jumps an hour back', -hour),
  {
    name: 'disk full',
    setting: 'small-disk',
    pairs: atEachStep('disk full', () => ({ verdicts: anyEnd, turnsLost: 3, respawns: 2 })),
    strikeHost: fillDisk,
    impossible: cannotMount,
  },
  {
    name: 'port taken by a stranger',
    pairs: [{ fault: 'port taken by a stranger', step: 'spawn', strike: takePort, verdicts: ['committed'] }],
  },
];

async function cannotMount(): Promise<string | null> {
  await using directory = await temporaryDirectory();
  const mounted = await execa('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory.path], { reject: false });
  if (mounted.failed) return 'a file system cannot be mounted here';
  await execa('umount', [directory.path]);
  return null;
}
