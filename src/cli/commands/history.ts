import type { Command } from 'commander';
import { type Sample, readSamples } from '../../journal/samples.ts';
import { cellNameOf } from '../cell-name.ts';
import type { Cli, Colors } from '../cli.ts';
import { timeSince } from '../since.ts';
import { renderTable } from '../table.ts';
import { durationWord, percentWord, sizeWord, timeWord } from '../words.ts';

interface HistoryFlags {
  since: string;
  cell?: string;
  json?: true;
}

/** `cells history`: what the cells of this host used, from the samples that its worker keeps. */
export function define(command: Command, cli: Cli): void {
  command
    .option('--since <duration>', 'how far back', '1h')
    .option('--cell <id>', 'every sample of this cell: its id, taskId/agentId, or the id of its workflow')
    .option('--json', 'print each sample as a line of JSON')
    .addHelpText(
      'after',
      '\nThe worker takes a sample of each cell every ten seconds. Needs neither a worker nor a Temporal server.',
    )
    .action((flags: HistoryFlags) => history(flags, cli));
}

async function history({ since, cell, json }: HistoryFlags, cli: Cli): Promise<void> {
  const all = await readSamples(cli.config().stateDirectory, timeSince(since));
  const samples = cell === undefined ? all : all.filter((sample) => isOf(sample, cell));
  if (json) return samples.forEach((sample) => cli.print(JSON.stringify(sample)));
  if (samples.length === 0) return cli.note(`no samples within ${since}; --since looks further back`);
  cli.print(cell === undefined ? summary(samples, cli.colors) : eachSample(samples, cli.colors));
}

const isOf = ({ cellId, workflowId }: Sample, text: string): boolean =>
  [cellId, workflowId, cellNameOf(workflowId)].includes(text);

/** A line for each cell. */
function summary(samples: readonly Sample[], colors: Colors): string {
  const byCell = Map.groupBy(samples, ({ cellId }) => cellId);
  const rows = [...byCell].flatMap(([cellId, own]) => {
    const [first, last] = [own[0], own.at(-1)];
    if (first === undefined || last === undefined) return [];
    const memory = own.map((sample) => sample.memory);
    const cpu = own.flatMap((sample) => sample.cpuPercent ?? []);
    const mean = cpu.length === 0 ? null : cpu.reduce((sum, part) => sum + part, 0) / cpu.length;
    return [
      [
        cellNameOf(first.workflowId),
        cellId,
        last.runtime,
        timeWord(first.at),
        durationWord(last.at - first.at),
        sizeWord(Math.max(...memory)),
        sizeWord(last.memory),
        sizeWord(last.memoryLimit),
        percentWord(mean),
        percentWord(cpu.length === 0 ? null : Math.max(...cpu)),
        String(Math.max(...own.map(({ processes }) => processes))),
      ],
    ];
  });
  const head = ['cell', 'id', 'runtime', 'from', 'for', 'peak', 'last', 'limit', 'cpu', 'peak cpu', 'processes'];
  return renderTable(head, rows, colors);
}

function eachSample(samples: readonly Sample[], colors: Colors): string {
  return renderTable(
    ['time', 'memory', 'limit', 'cpu', 'processes'],
    samples.map((sample) => [
      timeWord(sample.at),
      sizeWord(sample.memory),
      sizeWord(sample.memoryLimit),
      percentWord(sample.cpuPercent),
      String(sample.processes),
    ]),
    colors,
  );
}
