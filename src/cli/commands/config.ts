import type { Command } from 'commander';
import { type DescribedSetting, describeConfig, ownSettingsFile, settingNamed, settingText } from '../../config.ts';
import { changeSettingsFile } from '../../config/settings-file.ts';
import type { Cli } from '../cli.ts';
import { renderTable } from '../table.ts';

/** `cells config`: the settings of this host, and a file of defaults for them. */
export function define(command: Command, cli: Cli): void {
  command.addHelpText('after', help);
  command
    .command('list')
    .summary('print every setting with its source')
    .option('--json', 'print as JSON')
    .action(({ json }: { json?: true }) => list(json === true, cli));
  command
    .command('get')
    .summary('print what holds for one setting')
    .argument('<name>', 'such as runtime, or CELLS_RUNTIME')
    .action((name: string) => cli.print(describe(settingNamed(name)).value));
  command
    .command('set')
    .summary('set a default of this host')
    .argument('<name>', 'such as runtime, or CELLS_RUNTIME')
    .argument('<value>', 'what is allowed is in docs/operations.md')
    .action((name: string, value: string) => set(settingNamed(name), value, cli));
  command
    .command('unset')
    .summary('take a default out again')
    .argument('<name>', 'such as runtime, or CELLS_RUNTIME')
    .action((name: string) => unset(settingNamed(name), cli));
}

const help = `
The defaults are kept in agent-cells/settings.env below $XDG_CONFIG_HOME, else ~/.config. The environment and .env go over them.
A worker reads its settings when it starts.

Example:
  cells config set runtime bubblewrap`;

function list(json: boolean, cli: Cli): void {
  const settings = describeConfig().filter(({ name }) => name.startsWith('CELLS_'));
  if (json) return cli.print(JSON.stringify({ file: ownSettingsFile(), settings }));
  cli.print(
    renderTable(
      ['setting', 'value', 'from'],
      settings.map(({ name, value, source }) => [name, value, source]),
      cli.colors,
    ),
  );
}

async function set(name: string, value: string, cli: Cli): Promise<void> {
  await changeSettingsFile(ownSettingsFile(), name, settingText(name, value));
  const { source } = describe(name);
  if (source !== 'config file') cli.note(`${name} is set, and the one of the ${source} goes over it`);
  else cli.note(`${name} is set; a worker that runs takes it up when it is started again`);
}

async function unset(name: string, cli: Cli): Promise<void> {
  await changeSettingsFile(ownSettingsFile(), name, null);
  const { value, source } = describe(name);
  cli.note(`${name} is ${value}, from ${source === 'default' ? 'its default' : `the ${source}`}`);
}

function describe(name: string): DescribedSetting {
  const found = describeConfig().find((setting) => setting.name === name);
  if (found === undefined) throw new TypeError(`${name} is not described`);
  return found;
}
