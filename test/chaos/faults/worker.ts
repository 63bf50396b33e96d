import { setTimeout as delay } from 'node:timers/promises';
import { processesMarked, isRunning } from '../../support/processes.ts';
import { runnersOf } from '../../support/runners.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { cells } from '../../support/cells-command.ts';
import { ownerMarker } from '../../../src/domain/names.ts';
import { stateDirectoryId } from '../../../src/cell/hostlock.ts';
import { atEachStep, type Fault } from '../pair.ts';
import type { Stage } from '../stage.ts';

/** A turn that was answered is asked again where its server died over the tool that it called. */
const serverDies = (step: string) => (step === 'execute' || step === 'repair' ? { turnsLost: 1 } : {});

/** Longer than a heartbeat may be late. */
const longCut = 60_000;

/** Far longer than a worker may take to end, milliseconds. */
const politely = 120_000;

/** What ends, or is in doubt about, the processes that keep cells. */
export const hostFaults: readonly Fault[] = [
  {
    name: 'worker SIGKILL',
    pairs: atEachStep('worker SIGKILL'),
    async strikeHost(stage) {
      await stage.killWorker();
      await stage.fleet.startWorker();
    },
  },
  {
    name: 'runner SIGKILL',
    pairs: atEachStep('runner SIGKILL'),
    async strikeHost({ fleet }) {
      const [runner] = await runnersOf(fleet.worker.pid);
      if (runner === undefined) throw new Error('the worker has no runner');
      process.kill(runner.pid, 'SIGKILL');
    },
  },
  {
    name: 'supervisor SIGKILL',
    pairs: atEachStep('supervisor SIGKILL', serverDies),
    strikeHost: killSupervisor,
  },
  {
    name: 'worker and supervisor SIGKILL',
    pairs: atEachStep('worker and supervisor SIGKILL', serverDies),
    async strikeHost(stage) {
      const supervisor = await stage.supervisorPid();
      await stage.killWorker();
      process.kill(supervisor, 'SIGKILL');
      await stage.fleet.startWorker();
    },
  },
  {
    name: 'worker SIGTERM',
    pairs: atEachStep('worker SIGTERM'),
    async strikeHost(stage) {
      const ended = await Promise.race([stage.stopWorker(), delay(politely, 'too late')]);
      if (ended === 'too late') await stage.fleet.worker.end('SIGKILL');
      await stage.fleet.startWorker();
      // One that could not hand a step back in its time says so by 1.
      if (ended !== 0 && ended !== 1) throw new Error(`the worker that was asked to end: ${ended}`);
    },
  },
  {
    name: 'Temporal SIGKILL',
    pairs: atEachStep('Temporal SIGKILL'),
    strikeHost: (stage) => stage.temporal.killAndRestart(),
  },
  {
    name: 'worker cut off from Temporal',
    pairs: atEachStep('worker cut off from Temporal'),
    async strikeHost({ temporal, signal }) {
      temporal.way.cut();
      await delay(longCut, undefined, { signal }).finally(() => temporal.way.mend());
    },
  },
  {
    name: 'second worker on the host',
    pairs: atEachStep('second worker on the host'),
    async strikeHost({ fleet }) {
      const { exitCode, stderr } = await cells(fleet.env, 'worker');
      if (exitCode !== 2 || !stderr.includes('another worker runs on'))
        throw new Error(`a second worker ended with ${exitCode}: ${stderr}`);
    },
  },
];

/** No process of a cell outlives it: what comes after is new. */
async function killSupervisor(stage: Stage): Promise<void> {
  const owner = await stateDirectoryId(stage.fleet.stateDirectory);
  const kept = await processesMarked(ownerMarker, owner);
  process.kill(await stage.supervisorPid(), 'SIGKILL');
  const living = () => Promise.all(kept.map(({ pid }) => isRunning(pid)));
  await waitUntil(async () => !(await living()).includes(true), 30_000);
}
