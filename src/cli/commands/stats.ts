import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { createLogUpdate } from 'log-update';
import { type Look, cpuPercent, memoryLimitOf } from '../../cell/use-of-cell.ts';
import type { Config } from '../../config.ts';
import type { Cli, Colors } from '../cli.ts';
import { localLeases, runtimesHere } from '../local-leases.ts';
import { renderTable } from '../table.ts';
import { percentWord, sizeWord } from '../words.ts';

interface StatsFlags {
  once?: true;
  json?: true;
}

/** `cells stats`: what the cells of this host use at this moment. */
export function define(command: Command, cli: Cli): void {
  command
    .option('--once', 'print once; so does everything that is not a terminal')
    .option('--json', 'print each cell once, as a line of JSON')
    .addHelpText('after', '\nNeeds neither a worker nor a Temporal server. What cells used earlier: `cells history`.')
    .action((flags: StatsFlags) => stats(flags, cli));
}

/** Between two looks, milliseconds: processor time is what was used in between. */
const interval = 1_000;

async function stats({ once, json }: StatsFlags, cli: Cli): Promise<void> {
  const look = await createLook(cli.config());
  await look();
  if (once || json || cli.stdout.isTTY !== true) {
    await delay(interval);
    const rows = await look();
    if (json) return rows.forEach((row) => cli.print(JSON.stringify(row)));
    return rows.length === 0 ? cli.note('no cell lives on this host') : cli.print(render(rows, cli.colors));
  }
  const signal = cli.interruption();
  // log-update wants a terminal stream; that it is one was just seen.
  const update = createLogUpdate(cli.stdout as NodeJS.WriteStream);
  while (!signal.aborted) {
    await delay(interval, undefined, { signal }).catch(() => undefined);
    const rows = await look();
    update(rows.length === 0 ? cli.colors.dim('no cell lives on this host') : render(rows, cli.colors));
  }
  update.done();
}

/** What one cell uses; sizes in bytes. */
interface StatsRow {
  cell: string;
  cellId: string;
  runtime: string;
  state: string;
  memory: number;
  memoryLimit: number;
  /** Of one processor; null where it was not seen before. */
  cpuPercent: number | null;
  processes: number;
}

async function createLook(config: Config): Promise<() => Promise<StatsRow[]>> {
  const runtimeOf = await runtimesHere(config);
  const looks = new Map<string, Look>();
  return async () => {
    const rows: StatsRow[] = [];
    for (const { lease, name, mark } of await localLeases(config)) {
      const found = await runtimeOf(lease.runtime).stats(mark);
      const used = found ?? { memory: 0, memoryLimit: null, cpuMs: 0, processes: 0 };
      const now = { at: Date.now(), cpuMs: used.cpuMs };
      rows.push({
        cell: name,
        cellId: lease.cellId,
        runtime: lease.runtime,
        state: lease.state,
        memory: used.memory,
        memoryLimit: memoryLimitOf(used, lease, config),
        cpuPercent: cpuPercent(looks.get(lease.cellId), now),
        processes: used.processes,
      });
      looks.set(lease.cellId, now);
    }
    return rows;
  };
}

function render(rows: readonly StatsRow[], colors: Colors): string {
  return renderTable(
    ['cell', 'id', 'runtime', 'state', 'memory', 'limit', 'of it', 'cpu', 'processes'],
    rows.map((row) => {
      const part = Math.round((row.memory / row.memoryLimit) * 100);
      return [
        row.cell,
        row.cellId,
        row.runtime,
        row.state,
        sizeWord(row.memory),
        sizeWord(row.memoryLimit),
        part >= 90 ? colors.red(`${part} %`) : `${part} %`,
        percentWord(row.cpuPercent),
        String(row.processes),
      ];
    }),
    colors,
  );
}
