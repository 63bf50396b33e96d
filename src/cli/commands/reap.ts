import type { Command } from 'commander';
import { acquireHostLock, isHostLocked } from '../../cell/hostlock.ts';
import { countTrash, emptyTrash } from '../../cell/trash.ts';
import { findUnowned, releaseUnowned, type Unowned } from '../../cell/reaper.ts';
import { askTemporal } from '../../worker/reaping.ts';
import { connectSupervisor } from '../../supervisor/client.ts';
import { makeHost } from '../../worker/make-host.ts';
import type { Cli } from '../cli.ts';
import { exitCodes } from '../exit-codes.ts';
import { alone, hostLog } from '../host-log.ts';
import { renderTable } from '../table.ts';

interface ReapFlags {
  dryRun?: true;
  json?: true;
}

/** `cells reap`: what a running worker does every minute, for a host whose worker is gone. */
export function define(command: Command, cli: Cli): void {
  command
    .option('-n, --dry-run', 'only say what would be released; works beside a running worker')
    .option('--json', 'print each as a line of JSON')
    .addHelpText(
      'after',
      '\nIt goes by leases and by the markers of processes, never by name. Exit status: 1 when something could not be released.',
    )
    .action((flags: ReapFlags) => reap(flags, cli));
}

interface Reaped {
  resource: Unowned['resource'] | 'trash';
  /** Null for the trash. */
  cellId: string | null;
  why: string;
  outcome: 'found' | 'released' | 'not released';
}

async function reap({ dryRun, json }: ReapFlags, cli: Cli): Promise<void> {
  const config = cli.config();
  await using stack = new AsyncDisposableStack();
  const { client } = stack.use(await cli.connect());
  if (!dryRun) stack.use(await alone(config.stateDirectory, () => acquireHostLock(config.stateDirectory)));
  const supervisor = dryRun
    ? null
    : stack.use(await connectSupervisor(config.stateDirectory, { groups: config.cgroup, docker: config.docker }));
  stack.defer(async () => void (await supervisor?.stop()));
  // Without a worker nobody would use a server that waits; beside one they are the worker's, which keeps them or not.
  const warmServers = dryRun && (await isHostLocked(config.stateDirectory)) ? config.warmServers : 0;
  const host = await makeHost(
    { ...config, warmServers },
    hostLog({ ...config, logLevel: 'warn' }),
    supervisor && { supervisor },
  );
  const reaped: Reaped[] = [];
  for (const unowned of await findUnowned(host, askTemporal(client))) {
    const outcome = dryRun ? 'found' : (await releaseUnowned(host, unowned)) ? 'released' : 'not released';
    reaped.push({ ...unowned, outcome });
  }
  const discarded = await countTrash(config.stateDirectory);
  const emptied = dryRun ? 'found' : (await emptyTrash(host)) === 0 ? 'released' : 'not released';
  if (discarded > 0) {
    const why = `the deletion of ${discarded} ${discarded === 1 ? 'directory' : 'directories'} was begun and not finished`;
    reaped.push({ resource: 'trash', cellId: null, why, outcome: emptied });
  }
  print(reaped, json === true, cli);
  if (reaped.some(({ outcome }) => outcome === 'not released')) cli.exit(exitCodes.error);
}

function print(reaped: readonly Reaped[], json: boolean, cli: Cli): void {
  if (json) return reaped.forEach((item) => cli.print(JSON.stringify(item)));
  if (reaped.length === 0) return cli.note('nothing is left behind on this host');
  cli.print(
    renderTable(
      ['cell', 'what', 'outcome', 'why'],
      reaped.map(({ cellId, resource, outcome, why }) => [cellId ?? '–', resource, outcome, why]),
      cli.colors,
    ),
  );
}
