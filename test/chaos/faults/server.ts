import { waitUntil } from '../../support/wait-until.ts';
import { openCodeOf } from '../../support/host-state.ts';
import { isRunning } from '../../support/processes.ts';
import type { HeldCell } from '../held-cell.ts';
import type { Fault, Pair } from '../pair.ts';

const kill = (fault: string, signal: NodeJS.Signals, pairs: readonly Omit<Pair, 'fault' | 'strike'>[]): Pair[] =>
  pairs.map((pair) => ({ fault, strike: (cell) => strikeServer(cell, signal), ...pair }));

const committed = ['committed'];

/** What happens to the OpenCode server of a cell. It ends by itself when the commit or the revert begins. */
export const serverFaults: readonly Fault[] = [
  {
    name: 'server SIGKILL',
    pairs: kill('server SIGKILL', 'SIGKILL', [
      { step: 'spawn', moment: 'boot', verdicts: committed },
      { step: 'execute', verdicts: committed, turnsLost: 1 },
      { step: 'execute', moment: 'prompt', script: 'thinks', verdicts: committed, turnsLost: 1 },
      { step: 'test', verdicts: committed },
      { step: 'repair', verdicts: committed, turnsLost: 1 },
    ]),
  },
  {
    // Its tests fail, so that the repair finds no server.
    name: 'server SIGKILL before a repair',
    pairs: kill('server SIGKILL before a repair', 'SIGKILL', [{ step: 'repair', moment: 'test', verdicts: committed }]),
  },
  {
    name: 'server SIGSTOP',
    pairs: kill('server SIGSTOP', 'SIGSTOP', [
      { step: 'spawn', moment: 'boot', verdicts: committed },
      { step: 'execute', verdicts: committed, turnsLost: 1 },
      { step: 'test', verdicts: committed },
    ]),
  },
];

async function strikeServer(cell: HeldCell, signal: NodeJS.Signals): Promise<void> {
  const lease = await cell.lease();
  if (lease?.server == null) throw new Error('there is no server');
  const pid = await openCodeOf(lease.cellId);
  process.kill(pid, signal);
  if (signal === 'SIGKILL') await waitUntil(async () => !(await isRunning(pid)));
}
