import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { cellPaths } from '../../src/cell/paths.ts';
import { withRepositoryLock } from '../../src/git/repository-lock.ts';
import type { Gate } from './gates.ts';
import type { HeldCell } from './held-cell.ts';
import type { Moment } from './pair.ts';

/** How a cell is brought to where it is struck, by nothing but what can keep a cell waiting in real life. */
interface Approach {
  /** Gates that stay closed. */
  closed: readonly Gate[];
  /** Before it is started. */
  prepare?: (cell: HeldCell) => Promise<void>;
  /** Resolves when it stands there. */
  arrive: (cell: HeldCell) => Promise<void>;
}

/** A machine that is busy takes minutes over many boots at once. */
const patience = 600_000;

export const approaches: Readonly<Record<Moment, Approach>> = {
  free: { closed: [], arrive: async () => undefined },
  /** Another process holds the lock of its repository. */
  spawn: {
    closed: [],
    prepare: holdLock,
    arrive: (cell) =>
      until(cell, async () => {
        const lease = await cell.lease();
        return lease?.state === 'spawning' && lease.worktree !== null;
      }),
  },
  boot: {
    closed: [],
    arrive: (cell) =>
      until(cell, async () => {
        const lease = await cell.lease();
        return lease?.state === 'spawning' && lease.server !== null;
      }),
  },
  /** Its agent runs a command that waits. */
  execute: { closed: ['execute'], arrive: (cell) => atGate(cell, 'execute') },
  prompt: {
    closed: [],
    arrive: (cell) =>
      until(cell, async () => cell.turns().some(({ turn, outcome }) => turn === 2 && outcome === 'under-way')),
  },
  test: { closed: ['test'], arrive: (cell) => atGate(cell, 'test') },
  repair: { closed: ['repair'], arrive: (cell) => atGate(cell, 'repair') },
  /** The disk does not take the file of the diff. */
  commit: { closed: ['execute'], arrive: (cell) => viaAgent(cell, holdDiff, () => atStep(cell, 'commit')) },
  revert: { closed: ['execute'], arrive: (cell) => viaAgent(cell, holdDiff, () => atStep(cell, 'revert')) },
  /** Another process holds the lock of its repository, which it needs to remove its worktree. */
  teardown: { closed: ['execute'], arrive: (cell) => viaAgent(cell, holdLock, () => atStep(cell, 'teardown')) },
};

/** Stops at the agent's gate for what can only be arranged when the cell is there, and goes on from there. */
async function viaAgent(cell: HeldCell, arrange: (cell: HeldCell) => Promise<void>, arrive: () => Promise<void>) {
  await atGate(cell, 'execute');
  await arrange(cell);
  cell.open('execute');
  await arrive();
}

async function atGate(cell: HeldCell, gate: Gate): Promise<void> {
  await until(cell, async () => cell.isAt(gate));
}

async function atStep(cell: HeldCell, step: string): Promise<void> {
  await until(cell, async () => (await cell.state())?.step === step);
  // The step is entered when its activity is asked for; it waits a moment later.
  await delay(1_000);
}

/** A cell that ended before it came there is an error at once, and not after the longest wait. */
async function until(cell: HeldCell, condition: () => Promise<boolean>): Promise<void> {
  let looks = 0;
  const stands = async () => {
    if (await condition()) return true;
    looks += 1;
    if (looks % 20 === 0 && (await cell.state())?.lifecycle === 'terminated')
      throw new Error(`${cell.name} ended before it stood at ${cell.pair.moment ?? cell.pair.step}`);
    return false;
  };
  await waitFor(stands, { interval: 200, timeout: patience, signal: cell.stage.signal });
}

async function holdLock(cell: HeldCell): Promise<void> {
  const taken = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const holding = withRepositoryLock(join(cell.repository.path, '.git'), async () => {
    taken.resolve();
    await released.promise;
  });
  await Promise.race([taken.promise, holding]);
  cell.holds.defer(async () => {
    released.resolve();
    await holding;
  });
}

/** A pipe that nobody reads: git waits for ever to write its diff into it. */
async function holdDiff(cell: HeldCell): Promise<void> {
  const lease = await cell.lease();
  if (lease === null) throw new Error(`${cell.name} has no lease`);
  const { diff } = cellPaths(cell.stage.fleet.stateDirectory, lease.cellId);
  await rm(diff, { force: true });
  await execa('mkfifo', [diff]);
  cell.holds.defer(() => drain(diff));
}

async function drain(pipe: string): Promise<void> {
  await using handle = await open(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  await rm(pipe, { force: true });
  const buffer = Buffer.alloc(65_536);
  for (;;) {
    // Nothing to read yet from a writer that is there is an error; nothing for good is nothing.
    const read = await handle.read(buffer, 0, buffer.length, null).then(
      ({ bytesRead }) => bytesRead,
      () => -1,
    );
    if (read === 0) return;
    if (read === -1) await delay(20);
  }
}
