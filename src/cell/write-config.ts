import writeFileAtomic from 'write-file-atomic';
import type { ParsedCellRequest } from '../domain/request.ts';
import { cellConfig } from '../opencode/config.ts';
import { findTemplate } from '../templates/load.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { serverPlace } from './server-place.ts';

/** Writes the configuration of a cell's server, which reads it when it first works in the worktree. */
export async function writeConfig(
  host: CellHost,
  request: ParsedCellRequest,
  { cellId, model, worktree }: Pick<Lease, 'cellId' | 'model'> & { worktree: string },
): Promise<void> {
  const { home, configFile } = await serverPlace(host.stateDirectory, cellId);
  const agent = findTemplate(host.templates, request.agentType);
  const config = await cellConfig({ base: host.opencode, model, agent, worktree, home });
  await writeFileAtomic(configFile, config, { mode: 0o600, fsync: false });
}

/** What the configurations of cells of one worker differ by, but for the paths in them. */
export const configName = ({ model, agentType }: Pick<Lease, 'model' | 'agentType'>): string => `${model} ${agentType}`;
