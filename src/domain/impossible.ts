import type { CellRequest } from './request.ts';

/** Each name has an address of its own in 127.0.1.0/24, which has no more that can be given. */
const mostNames = 254;

/**
 * What of a well-formed request no host can do; null where there is nothing of that. It is asked where a cell is about to be made, and is
 * not part of parsing: a workflow parses its request anew in each replay, and must find what it found when it began.
 */
export function impossibleIn({ network }: Pick<CellRequest, 'network'>): { field: string; why: string } | null {
  const why = network === undefined || network === 'none' ? null : tooMuchAllowed(network.allow);
  return why === null ? null : { field: 'network', why };
}

function tooMuchAllowed(allow: readonly string[]): string | null {
  const wrong = allow.find((target) => Number(portOf(target)) > 65_535);
  if (wrong !== undefined) return `${wrong}: a port is at most 65535`;
  const names = new Set(allow.map((target) => target.slice(0, target.lastIndexOf(':')))).size;
  return names > mostNames ? `allow must name at most ${mostNames} hosts, and names ${names}` : null;
}

const portOf = (target: string): string => target.slice(target.lastIndexOf(':') + 1);
