import { waitUntil } from '../../support/wait-until.ts';
import type { HeldCell } from '../held-cell.ts';
import { atEachStep, type Fault, type Pair } from '../pair.ts';
import type { Stage } from '../stage.ts';

const name = 'host lost and returning';

/** Four waits for the host that is lost, and the boots of those that are made anew, on a machine that is busy. */
const patience = 300_000;

/** What was judged is not begun anew: the verdict of a commit or a revert cannot be known, and after it nothing is missing. */
function endedBy(step: Pair['step']): Partial<Pair> {
  if (step === 'commit' || step === 'revert') return { verdicts: ['CellLost'], reaped: true };
  return step === 'teardown' ? { reaped: true } : { respawns: 1, reaped: true };
}

/** What happens to a whole host while there is another one. */
export const lostHostFaults: readonly Fault[] = [
  {
    name,
    setting: 'soon-lost',
    pairs: atEachStep(name, endedBy),
    async strikeHost(stage, cells) {
      await loseHost(stage);
      await stage.addHost();
      await waitUntil(() => areGivenUp(stage, cells), patience, stage.signal);
      await stage.fleet.startWorker();
    },
  },
];

/** Nothing of it goes on: no worker, no supervisor, and with that no process of a cell. */
async function loseHost(stage: Stage): Promise<void> {
  const supervisor = await stage.supervisorPid();
  await stage.killWorker();
  process.kill(supervisor, 'SIGKILL');
}

/** Every cell has ended, or is another host's. */
async function areGivenUp({ fleet }: Stage, cells: readonly HeldCell[]): Promise<boolean> {
  const states = await Promise.all(cells.map((cell) => cell.state()));
  return states.every(
    (state) => state !== null && (state.lifecycle === 'terminated' || ![null, fleet.hostId].includes(state.cell.host)),
  );
}
