import type { Command } from 'commander';
import { type AuditLine, auditFile, auditLine, readAudit } from '../../journal/audit.ts';
import { followJournal } from '../../journal/follow.ts';
import type { Cli, Colors } from '../cli.ts';
import { timeSince } from '../since.ts';
import { oneLine, timeWord } from '../words.ts';

interface AuditFlags {
  since: string;
  follow?: true;
  json?: true;
}

/** `cells audit`: what this host did for whom, and what it refused. */
export function define(command: Command, cli: Cli): void {
  command
    .option('--since <duration>', 'how far back', '1h')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('--json', 'print each line as it is kept')
    .addHelpText('after', '\nWhat each line holds is in docs/audit.md. Needs neither a worker nor a Temporal server.')
    .action((flags: AuditFlags) => audit(flags, cli));
}

async function audit({ since, follow, json }: AuditFlags, cli: Cli): Promise<void> {
  const { stateDirectory } = cli.config();
  const show = (line: AuditLine) => cli.print(json ? JSON.stringify(line) : render(line, cli.colors));
  const from = timeSince(since);
  if (follow) {
    for await (const line of followJournal(auditFile(stateDirectory), auditLine, from, cli.interruption())) show(line);
    return;
  }
  const lines = await readAudit(stateDirectory, from);
  lines.forEach(show);
  if (lines.length === 0) cli.note(`nothing was written within ${since}; --since looks further back`);
}

/** What has a place of its own in the line. */
const placed = ['at', 'by', 'pid', 'event', 'what', 'cellId', 'mark'];

function render(line: AuditLine, colors: Colors): string {
  const what = [line.event, textOf(line['what'])].filter((word) => word !== '').join(' ');
  const cell = textOf(line['cellId']) || textOf(line['mark']);
  const others = Object.entries(line)
    .filter(([name]) => !placed.includes(name))
    .map(([name, value]) => `${colors.dim(`${name}=`)}${oneLine(textOf(value), 160)}`);
  return `${timeWord(line.at)}  ${colorOf(line, colors)(what.padEnd(21))} ${cell.padEnd(16)}  ${others.join(' ')}`.trimEnd();
}

const textOf = (value: unknown): string =>
  value === undefined ? '' : typeof value === 'string' ? value : (JSON.stringify(value) ?? '');

function colorOf({ event }: AuditLine, colors: Colors): (text: string) => string {
  if (event === 'refused') return colors.red;
  return event === 'reaped' || event === 'killed' || event === 'alert' ? colors.yellow : (text) => text;
}
