import type { Command } from 'commander';
import { describeConfig, type DescribedSetting } from '../../config.ts';
import type { Cli, Colors } from '../cli.ts';
import { admissionChecks } from '../doctor/admission-checks.ts';
import { check, type Check } from '../doctor/check.ts';
import { hostChecks } from '../doctor/host-checks.ts';
import { runtimeChecks } from '../doctor/runtime-checks.ts';
import { settingsChecks } from '../doctor/settings-checks.ts';
import { temporalChecks } from '../doctor/temporal-checks.ts';
import { exitCodes } from '../exit-codes.ts';
import { renderTable } from '../table.ts';

/** `cells doctor`: what is wrong on this host, and how to mend it. */
export function define(command: Command, cli: Cli): void {
  command
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExit status: 1 when a problem was found; warnings do not count.')
    .action((flags: { json?: true }) => doctor(flags, cli));
}

async function doctor({ json }: { json?: true }, cli: Cli): Promise<void> {
  const settings = describeConfig();
  const checks = await allChecks(cli);
  const healthy = checks.every(({ verdict }) => verdict !== 'problem');
  if (json) cli.print(JSON.stringify({ healthy, checks, settings }));
  else cli.print(render(checks, settings, cli.colors));
  if (!healthy) cli.exit(exitCodes.error);
}

/** Without settings nothing else can be judged. */
async function allChecks(cli: Cli): Promise<Check[]> {
  const readable = await check('settings', () => {
    cli.config();
    return { verdict: 'ok', detail: 'read' };
  });
  if (readable.verdict !== 'ok') return [readable];
  const config = cli.config();
  const groups = await Promise.all([
    settingsChecks(config),
    temporalChecks(config),
    hostChecks(config),
    runtimeChecks(config),
    admissionChecks(config),
  ]);
  return groups.flat();
}

function render(checks: readonly Check[], settings: readonly DescribedSetting[], colors: Colors): string {
  const lines = checks.flatMap((found) => {
    const line = `${mark(found, colors)} ${found.name.padEnd(18)} ${found.detail}`;
    return found.verdict === 'ok' ? [line] : [line, `  ${' '.repeat(18)} ${colors.dim('→')} ${found.try}`];
  });
  const table = renderTable(
    ['setting', 'value', 'from'],
    settings.map(({ name, value, source }) => [name, value, source]),
    colors,
  );
  const problems = checks.filter(({ verdict }) => verdict === 'problem').length;
  const sum =
    problems === 0
      ? colors.green('No problem found.')
      : colors.red(problems === 1 ? 'One problem found.' : `${problems} problems found.`);
  return [...lines, '', table, '', sum].join('\n');
}

function mark({ verdict }: Check, colors: Colors): string {
  switch (verdict) {
    case 'ok':
      return colors.green('✓');
    case 'warning':
      return colors.yellow('!');
    case 'problem':
      return colors.red('✗');
  }
}
