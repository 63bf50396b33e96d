import { bytesOfSize } from '../domain/memory-size.ts';
import type { IsolationName, ParsedCellRequest } from '../domain/request.ts';
import { whyNotLedTo } from '../runtimes/in-cell.ts';
import { noLimits } from '../runtimes/limit-groups.ts';
import type { Limits } from '../runtimes/runtime.ts';
import { findTemplate } from '../templates/load.ts';
import type { CellHost } from './host.ts';

/** Processes and threads of a cell that asks for no number: a server has some thirty, a build a few hundred. */
const usualPids = 1024;

/**
 * What a cell may use at most: as its request says, else as its agent type does, else as is usual on this host. A runtime that cannot
 * limit, limits nothing but the size of a file; a request that names what it cannot limit was refused before.
 *
 * @param times how many times this memory; default 1
 */
export function limitsOf(
  host: LimitingHost & Pick<CellHost, 'templates'>,
  request: Pick<ParsedCellRequest, 'resources' | 'agentType'>,
  name: IsolationName,
  times = 1,
): Limits {
  const wanted = request.resources ?? findTemplate(host.templates, request.agentType).resources ?? {};
  return limitsBy(host, name, wanted, times);
}

/** What a cell may use whose request and agent type say nothing of it. */
export const usualLimits = (host: LimitingHost, name: IsolationName): Limits => limitsBy(host, name, {}, 1);

type LimitingHost = Pick<CellHost, 'runtimes' | 'serverMemory' | 'cellDisk'>;

function limitsBy(
  host: LimitingHost,
  name: IsolationName,
  wanted: { memory?: string | undefined; cpus?: number | undefined; pids?: number | undefined },
  times: number,
): Limits {
  const { runtime } = host.runtimes[name];
  if (!runtime.confines) return noLimits;
  const disk = host.cellDisk;
  // The size of files takes no control groups.
  const { unsupported } = runtime;
  if (unsupported.resources !== undefined) return { ...noLimits, disk };
  const memory = wanted.memory === undefined ? host.serverMemory : bytesOfSize(wanted.memory);
  return {
    memory: Math.round(memory * times),
    cpus: wanted.cpus ?? null,
    pids: unsupported['resources.pids'] === undefined ? (wanted.pids ?? usualPids) : null,
    disk,
  };
}

/** What a cell reaches besides its models. */
export const allowedBy = ({ network }: Pick<ParsedCellRequest, 'network'>): readonly string[] =>
  network === undefined || network === 'none' ? [] : network.allow;

/** Why a target of a confined cell cannot be led to; null when all can. */
export function whyNotAllowed(
  host: Pick<CellHost, 'runtimes'>,
  request: ParsedCellRequest,
  name: IsolationName,
): string | null {
  if (!host.runtimes[name].runtime.confines) return null;
  return (
    allowedBy(request)
      .map(whyNotLedTo)
      .find((reason) => reason !== null) ?? null
  );
}
