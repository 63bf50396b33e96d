import type { CellHost } from './host.ts';
import type { WarmServer } from './warm-record.ts';
import { listWarm } from './warm-record.ts';
import { bootWarm, endWarm, profileOf } from './warm-server.ts';

/** Whether the host has room for servers that no cell needs yet. */
export interface Room {
  /** False when memory is short: then what is there is given back at once. */
  mayKeep(): Promise<boolean>;
  /** Whether another may be made. */
  mayAdd(): Promise<boolean>;
}

/**
 * Brings the warm servers of a host to their number: ends those that nobody can use, and boots what is missing, one after the
 * other, while no cell is being made. All that it knows it reads from the disk, so the servers of an earlier worker are kept.
 *
 * @throws what a boot throws
 */
export async function tendPool(host: CellHost, room: Room, signal: AbortSignal): Promise<void> {
  let kept = 0;
  const wanted = host.warmServers > 0 && (await room.mayKeep()) ? host.warmServers : 0;
  for (const { id, record } of (await listWarm(host.stateDirectory)).records) {
    if (record !== null && kept < wanted && (await isUsable(host, record))) kept += 1;
    else await endWarm(host, id);
  }
  for (; kept < wanted && (await isIdle(host)) && (await room.mayAdd()); kept += 1) {
    signal.throwIfAborted();
    // Behind every cell that waits for its turn.
    await host.boots.runExclusive(() => bootWarm(host, signal), 1, -1);
  }
}

/** Whether a cell of this host could adopt a server. One that boots was left by a worker that died: this one boots its own between two looks. */
export async function isUsable(host: CellHost, { ready, runtime, profile }: WarmServer): Promise<boolean> {
  if (ready === null || runtime !== host.defaultRuntime || profile !== profileOf(host)) return false;
  return (await host.runtimes[runtime].runtime.inspect(ready.server)).kind === 'running';
}

/** Whether no cell is about to be made: processors and memory are theirs first. */
async function isIdle(host: CellHost): Promise<boolean> {
  const { leases } = await host.leases.list();
  return leases.every(({ state }) => state === 'ready' || state === 'terminating');
}
