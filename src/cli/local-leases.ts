import { stateDirectoryId } from '../cell/hostlock.ts';
import type { Lease } from '../cell/lease.ts';
import { createLeaseStore } from '../cell/leases.ts';
import { marksOf } from '../cell/server-place.ts';
import type { Config } from '../config.ts';
import type { IsolationName } from '../domain/request.ts';
import { UserError } from '../domain/user-error.ts';
import { findRoots } from '../runtimes/found-roots.ts';
import { makeRuntimes } from '../runtimes/index.ts';
import type { CellRuntime } from '../runtimes/runtime.ts';
import { cellNameOf } from './cell-name.ts';

/** A cell that lives on this host, as the disk knows it: neither Temporal nor a worker is asked. */
export interface LocalLease {
  lease: Lease;
  /** `taskId/agentId`. */
  name: string;
  /** What the runtime knows the cell by. */
  mark: string;
}

export async function localLeases({ stateDirectory }: Pick<Config, 'stateDirectory'>): Promise<LocalLease[]> {
  const { leases } = await createLeaseStore(stateDirectory).list();
  const marks = await marksOf(
    stateDirectory,
    leases.map(({ cellId }) => cellId),
  );
  return leases.map((lease, index) => ({
    lease,
    name: cellNameOf(lease.owner.workflowId),
    mark: marks[index] ?? lease.cellId,
  }));
}

/** The cell that a person means: its id, `taskId/agentId`, or the id of its workflow. @throws UserError `NotOnThisHost` */
export function leaseNamed(leases: readonly LocalLease[], text: string): LocalLease {
  const found = leases.find(({ lease, name }) => [lease.cellId, name, lease.owner.workflowId].includes(text));
  if (found !== undefined) return found;
  const there = leases.map(({ name }) => name);
  throw new UserError('NotOnThisHost', `no cell ${text} lives on this host`, {
    try: there.length === 0 ? 'no cell does; `cells list` shows those of all hosts' : `there are ${there.join(', ')}`,
  });
}

/** The runtimes of this host, to look at cells with; made without asking whether they could start one. */
export async function runtimesHere({
  stateDirectory,
  cgroup,
  docker,
}: Pick<Config, 'stateDirectory' | 'cgroup' | 'docker'>): Promise<(name: IsolationName) => CellRuntime> {
  const owner = await stateDirectoryId(stateDirectory);
  const roots = await findRoots(cgroup);
  const made = makeRuntimes({ owner, ...roots, docker });
  return (name) => made[name];
}
