import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ParsedCellRequest } from '../domain/request.ts';
import { replaceFile } from '../files/replace-file.ts';
import { cellConfig } from '../opencode/config.ts';
import { findTemplate } from '../templates/load.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { openModelDoor } from './model-door.ts';
import { serverPlace } from './server-place.ts';

/**
 * Writes the configuration of a cell's server, which reads it when it first works in the worktree. Where cells go through the
 * gateway, the door that it names is opened now.
 *
 * @throws NoModelRoute
 */
export async function writeConfig(
  host: CellHost,
  request: ParsedCellRequest,
  lease: Pick<Lease, 'cellId' | 'model' | 'runtime' | 'tokenBudget'> & { worktree: string },
): Promise<void> {
  const { cellId, model, worktree } = lease;
  const { home, config: file } = await serverPlace(host.stateDirectory, cellId);
  const agent = findTemplate(host.templates, request.agentType);
  const gateway = await openModelDoor(host, lease);
  const config = await cellConfig({ base: host.opencode, model, agent, worktree, home, gateway });
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, config, { mode: 0o600, sync: false });
}

/** What the configurations of cells of one worker differ by, but for the paths in them. */
export const configName = ({ model, agentType }: Pick<Lease, 'model' | 'agentType'>): string => `${model} ${agentType}`;
