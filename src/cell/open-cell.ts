import { lstat } from 'node:fs/promises';
import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import { assertWorktree } from '../git/worktree.ts';
import { connectServer } from '../opencode/server.ts';
import type { RuntimeStatus } from '../runtimes/runtime.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { cellSecret } from './secret.ts';

/** What the cell consisted of is gone. */
export class CellGone extends Error {
  override readonly name = 'CellGone';
}

/** A cell that was spawned, with everything that a step needs of it. */
export interface OpenCell {
  lease: Lease;
  gitDirectory: string;
  baseCommit: string;
  worktree: string;
}

/**
 * Finds a spawned cell by its lease, and makes sure that its worktree is its own: in an empty directory git would fall
 * through to whatever repository lies above it.
 *
 * @throws CellGone when there is no such cell on this host, or when its host has begun to end it.
 */
export async function openCell(host: CellHost, cellId: string): Promise<OpenCell> {
  const cell = await findCell(host, cellId);
  // Its worktree may be its base again, which no step may take for the agent's work.
  if (cell.lease.state === 'terminating') throw new CellGone(`host ${host.hostId} has begun to end cell ${cellId}`);
  return cell;
}

/** The same, whether its host has begun to end it or not. @throws CellGone */
export async function findCell(host: CellHost, cellId: string): Promise<OpenCell> {
  const found = await host.leases.read(cellId);
  if (found.kind === 'missing') throw new CellGone(`there is no cell ${cellId} on host ${host.hostId}`);
  if (found.kind === 'unreadable') throw new CellGone(`the lease of cell ${cellId} cannot be read: ${found.reason}`);
  const { lease } = found;
  const { gitDirectory, baseCommit, worktree } = lease;
  if (gitDirectory === null || baseCommit === null || worktree === null)
    throw new CellGone(`cell ${cellId} was never spawned`);
  await assertWorktree({ gitDirectory, path: worktree }).catch((error: unknown) => {
    throw new CellGone(`the worktree of cell ${cellId} is gone`, { cause: error });
  });
  return { lease, gitDirectory, baseCommit, worktree };
}

/** Whether the server of a cell lives. */
export async function serverLives(host: CellHost, lease: Lease): Promise<boolean> {
  return (await inspectServer(host, lease)).kind === 'running';
}

/** Whether the server of a cell was ended for the memory limit of the cell, as far as its runtime can tell. */
export async function ranOutOfMemory(host: CellHost, lease: Lease): Promise<boolean> {
  const status = await inspectServer(host, lease);
  return status.kind !== 'running' && status.outOfMemory === true;
}

async function inspectServer(host: CellHost, { runtime, server }: Lease): Promise<RuntimeStatus> {
  return server === null ? { kind: 'gone' } : await host.runtimes[runtime].runtime.inspect(server);
}

/** What a cell that was open has lost since, in a sentence; null while it can go on. An agent may empty its worktree. */
export async function whatIsLost(host: CellHost, { lease, worktree }: OpenCell): Promise<string | null> {
  const status = await inspectServer(host, lease);
  if (status.kind !== 'running')
    return `the server of the cell ${status.outOfMemory ? 'ran out of memory' : 'has ended'}`;
  const found = await lstat(worktree).catch(() => null);
  return found?.isDirectory() ? null : `the worktree of cell ${lease.cellId} is gone`;
}

/** A client of the cell's server. @throws CellGone when it has ended. */
export async function clientOf(host: CellHost, cell: OpenCell): Promise<OpencodeClient> {
  const { lease, worktree } = cell;
  if (lease.port === null || !(await serverLives(host, lease)))
    throw new CellGone(`the server of cell ${lease.cellId} has ended`);
  const password = await cellSecret(host.stateDirectory, lease.cellId);
  return connectServer({ port: lease.port, password, worktree });
}
