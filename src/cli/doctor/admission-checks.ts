import type { Config } from '../../config.ts';
import type { AdmissionState, RefusalReason } from '../../worker/admission/state.ts';
import { admissionWord, localAdmission } from '../admission.ts';
import { durationWord } from '../words.ts';
import { check, ok, problem, warning, type Check, type Finding } from './check.ts';

/** What the worker of this host says of itself: whether it claims cells, and whether spawns succeed. */
export async function admissionChecks({ stateDirectory }: Config): Promise<Check[]> {
  const state = await localAdmission(stateDirectory);
  return await Promise.all([
    check('claims cells', () => claims(state)),
    ...(state?.fresh ? [check('spawns', () => spawns(state))] : []),
  ]);
}

const hints: Readonly<Record<RefusalReason, string>> = {
  stopping: 'start a worker: `cells worker`',
  breaker: 'see why spawns fail: the log of the worker, and `cells logs --server` of a cell that failed',
  full: 'wait, add a host, or raise CELLS_CAPACITY',
  ports: 'widen CELLS_PORTS',
  disk: 'free some of the disk of CELLS_STATE_DIR, or lower CELLS_DISK_RESERVE',
  memory: 'wait, add memory or a host, or lower CELLS_MEMORY_RESERVE',
};

function claims(state: Awaited<ReturnType<typeof localAdmission>>): Finding {
  if (state === null) return ok('no worker has run on this state directory yet');
  if (!state.fresh) {
    const heard = `no: its worker was last heard of ${durationWord(Date.now() - state.at)} ago`;
    return warning(heard, hints.stopping);
  }
  if (state.reason === null) {
    const { taken, capacity } = state.places;
    return ok(`yes; ${taken} of ${capacity} places are taken`);
  }
  // A full host is one that does what it is there for.
  return state.reason === 'full' ? ok(admissionWord(state)) : warning(admissionWord(state), hints[state.reason]);
}

function spawns({ breaker }: AdmissionState): Finding {
  const { state, failures, nextTryAt } = breaker;
  if (state === 'closed') return failures === 0 ? ok('none failed in the last minute') : warningOf(failures);
  const wait = Math.max(0, (nextTryAt ?? 0) - Date.now());
  const next = state === 'open' ? `one is tried in ${durationWord(wait)}` : 'one is being tried';
  return problem(`the circuit breaker is ${state}: spawns failed one after the other, ${next}`, hints.breaker);
}

const warningOf = (failures: number): Finding => warning(`${failures} failed in the last minute`, hints.breaker);
