import type { IsolationName } from '../domain/request.ts';
import { UserError } from '../domain/user-error.ts';
import type { ProbedRuntime } from '../runtimes/index.ts';

/** The strongest first; docs/decisions says why in this order. */
const byStrength = ['docker', 'bubblewrap', 'process'] as const satisfies IsolationName[];

/** The runtime of a request that names none, and why it is that one. */
export interface RuntimeChoice {
  name: IsolationName;
  why: string;
}

/**
 * What was asked for, else the strongest that the host can start cells in just now. A runtime that was asked for and cannot be had
 * is an error: a weaker one is never taken instead.
 *
 * @throws UserError `InvalidConfiguration`
 */
export function chooseRuntime(
  wanted: IsolationName | null,
  runtimes: Readonly<Record<IsolationName, Pick<ProbedRuntime, 'probe'>>>,
): RuntimeChoice {
  if (wanted !== null) {
    const { probe } = runtimes[wanted];
    if (probe.usable) return { name: wanted, why: `CELLS_RUNTIME is ${wanted}` };
    throw new UserError('InvalidConfiguration', `CELLS_RUNTIME=${wanted} is not available on this host: ${probe.why}`, {
      try: probe.try,
    });
  }
  const name = byStrength.find((candidate) => runtimes[candidate].probe.usable) ?? 'process';
  const stronger = byStrength.slice(0, byStrength.indexOf(name));
  if (stronger.length === 0) return { name, why: 'it is the strongest' };
  const whyNot = stronger.map((other) => {
    const { probe } = runtimes[other];
    return `${other}: ${probe.usable ? 'usable' : probe.why}`;
  });
  return { name, why: `it is the strongest that is usable here (${whyNot.join('; ')})` };
}

/** What cells are free to do in a runtime that does not confine them; null for the others. */
export function unprotectedIn(name: IsolationName): string | null {
  if (name !== 'process') return null;
  return (
    'cells are plain processes of the user of this worker: an agent can read and change whatever that user can, ' +
    'other cells, keys and this worker included, reach the whole network, and use up memory, disk and processes'
  );
}
