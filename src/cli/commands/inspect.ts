import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { stateDirectoryId } from '../../cell/hostlock.ts';
import { cellPaths } from '../../cell/paths.ts';
import { serverPlace } from '../../cell/server-place.ts';
import { memoryLimitOf } from '../../cell/use-of-cell.ts';
import type { CellAccount } from '../../gateway/gateway.ts';
import { inspectCell } from '../../runtimes/inspect-cell.ts';
import { askSupervisor } from '../../supervisor/client.ts';
import type { Cli } from '../cli.ts';
import { leaseNamed, localLeases, runtimesHere } from '../local-leases.ts';

/** `cells inspect`: all that this host knows of a cell that lives here. */
export function define(command: Command, cli: Cli): void {
  command
    .argument('<cell>', 'taskId/agentId, the id of the cell, or the id of its workflow')
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      '\nWithout passwords, tokens and keys. Asks the disk, the kernel and the supervisor of this host, and no Temporal server.',
    )
    .action((cell: string, { json }: { json?: true }) => inspect(cell, json === true, cli));
}

async function inspect(cell: string, json: boolean, cli: Cli): Promise<void> {
  const config = cli.config();
  const { stateDirectory } = config;
  const { lease, name, mark } = leaseNamed(await localLeases(config), cell);
  const { cellId } = lease;
  const runtime = (await runtimesHere(config))(lease.runtime);
  const paths = cellPaths(stateDirectory, cellId);
  const { home, config: configFile, inlet, modelSocket } = await serverPlace(stateDirectory, cellId);
  const { processes, mounts } = await inspectCell(await stateDirectoryId(stateDirectory), mark);
  const stats = await runtime.stats(mark);
  const account = await askSupervisor<CellAccount>(stateDirectory, '/gateway/account', { cellId });
  const found = {
    cell: name,
    lease,
    mark,
    runtime: { name: runtime.name, confines: runtime.confines, cannotEnforce: runtime.unsupported },
    paths: { directory: paths.directory, worktree: lease.worktree, home, configFile, artifacts: paths.artifacts },
    ports: { held: lease.port },
    sockets: await socketsIn([paths.directory, inlet, dirname(modelSocket)]),
    stats:
      stats === null
        ? null
        : { ...stats, memoryLimit: memoryLimitOf(stats, lease, config), enforced: stats.memoryLimit },
    processes,
    mounts,
    gateway: account,
  };
  cli.print(json ? JSON.stringify(found) : stringify(found, { lineWidth: 0 }).trimEnd());
}

async function socketsIn(directories: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    directories.map(async (directory) => {
      const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isSocket()).map((entry) => join(directory, entry.name));
    }),
  );
  return found.flat();
}
