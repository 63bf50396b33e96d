import type { CellHost } from '../src/cell/host.ts';
import { reviveCell } from '../src/cell/revive.ts';
import type { HostActivities, ReviveInput, SpawnedCell } from './contract.ts';
import { failure, messageOf } from './failure.ts';
import { stepFailure } from './step-failure.ts';
import { untilHostCloses } from './until-host-closes.ts';

/** Gives a cell whose server has ended or hangs a new one, on the same worktree and with the same session. */
export const createReviveCell =
  (host: CellHost): HostActivities['reviveCell'] =>
  (input: ReviveInput): Promise<SpawnedCell> =>
    untilHostCloses(host, input, async (signal) => {
      try {
        return await reviveCell(host, input, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof Error && error.name === 'CellGone') return stepFailure(error, 'CellLost');
        throw failure('SpawnFailed', messageOf(error), { cause: error });
      }
    });
