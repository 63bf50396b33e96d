import { stat } from 'node:fs/promises';
import type { Client } from '@temporalio/client';
import { codeOf } from '../cell/create-file.ts';
import { cellPaths, type CellPaths } from '../cell/paths.ts';
import { describeCell, type DescribedCell } from '../client/describe.ts';
import type { Config } from '../config.ts';
import { UserError } from '../domain/user-error.ts';
import { cellNameOf } from './cell-name.ts';
import { reportIn } from './table.ts';

/** A cell whose files are on this host. */
export interface LocalCell {
  described: DescribedCell;
  cellId: string;
  paths: CellPaths;
}

/**
 * Finds where a cell keeps its files.
 *
 * @throws UserError `NotOnThisHost` when it lives on another host, was not spawned yet, or its artifacts are gone.
 */
export async function findLocalCell(client: Client, workflowId: string, config: Config): Promise<LocalCell> {
  const described = await describeCell(client, workflowId);
  const name = cellNameOf(workflowId);
  const report = described.outcome === null ? null : reportIn(described.outcome);
  const cellId = described.state.cell.cellId ?? report?.cellId ?? null;
  const host = described.state.cell.host ?? report?.host ?? described.listing.host;
  if (host !== null && host !== config.hostId) {
    throw new UserError('NotOnThisHost', `${name} lives on host ${host}; this is ${config.hostId}`, {
      try: `run the command on ${host}, or set CELLS_HOST_ID and CELLS_STATE_DIR to those of its worker`,
    });
  }
  if (cellId === null) {
    throw new UserError('NotOnThisHost', `${name} has no cell yet, or never had one`, {
      try: `see what it waits for with: cells show ${name}`,
    });
  }
  const paths = cellPaths(config.stateDirectory, cellId);
  if (!(await isThere(paths.artifacts)) && !(await isThere(paths.directory))) {
    throw new UserError('NotOnThisHost', `nothing of cell ${cellId} is kept under ${config.stateDirectory}`, {
      try: 'its time of retention may be over (CELLS_ARTIFACT_RETENTION), or CELLS_STATE_DIR is not that of the worker',
    });
  }
  return { described, cellId, paths };
}

/** A directory that may not be entered does not say what is in it: that is thrown. */
async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}
