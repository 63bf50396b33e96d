import { bytesOfSize } from './memory-size.ts';
import type { CellRequest } from './request.ts';

/** Each name has an address of its own in 127.0.1.0/24, which has no more that can be given. */
const mostNames = 254;

/** Where no server starts below, or no machine goes beyond. Between them a host may still lack what is asked for. */
const bounds = { memory: ['64m', '65536g'], cpus: 0.01, pids: 32 } as const;

interface Wanted {
  network?: CellRequest['network'];
  /** Of the request, or of its agent type. */
  resources?: { memory?: string | undefined; cpus?: number | undefined; pids?: number | undefined } | undefined;
}

/**
 * What of a well-formed request no host can do; null where there is nothing of that. It is asked where a cell is about to be made, and is
 * not part of parsing: a workflow parses its request anew in each replay, and must find what it found when it began.
 */
export function impossibleIn({ network, resources }: Wanted): { field: string; why: string } | null {
  const allowed = network === undefined || network === 'none' ? null : tooMuchAllowed(network.allow);
  if (allowed !== null) return { field: 'network', why: allowed };
  const { memory, cpus, pids } = resources ?? {};
  const [least, most] = bounds.memory;
  if (memory !== undefined && !(bytesOfSize(memory) >= bytesOfSize(least) && bytesOfSize(memory) <= bytesOfSize(most)))
    return { field: 'resources.memory', why: `must be ${least} to ${most}, and is ${short(memory)}` };
  if (cpus !== undefined && cpus < bounds.cpus)
    return { field: 'resources.cpus', why: `must be at least ${bounds.cpus}, and is ${cpus}` };
  if (pids !== undefined && pids < bounds.pids)
    return { field: 'resources.pids', why: `must be at least ${bounds.pids}, and is ${pids}` };
  return null;
}

function tooMuchAllowed(allow: readonly string[]): string | null {
  const wrong = allow.find((target) => Number(portOf(target)) > 65_535);
  if (wrong !== undefined) return `${wrong}: a port is at most 65535`;
  const names = new Set(allow.map((target) => target.slice(0, target.lastIndexOf(':')))).size;
  return names > mostNames ? `allow must name at most ${mostNames} hosts, and names ${names}` : null;
}

const portOf = (target: string): string => target.slice(target.lastIndexOf(':') + 1);

/** A pattern lets any number of digits pass. */
const short = (size: string): string => (size.length <= 31 ? size : `${size.slice(0, 29)}…`);
