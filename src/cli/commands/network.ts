import type { Command } from 'commander';
import * as v from 'valibot';
import { impossibleIn } from '../../domain/impossible.ts';
import { networkTarget } from '../../domain/request.ts';
import { UserError } from '../../domain/user-error.ts';
import { checkTargets, hasNetwork, repairNetwork, type TargetState } from '../../runtimes/docker/network.ts';
import { networkOf } from '../../runtimes/docker/services.ts';
import type { Cli } from '../cli.ts';
import { answeringEngine } from '../docker-engine.ts';
import { exitCodes } from '../exit-codes.ts';
import { renderTable } from '../table.ts';

interface NetworkFlags {
  json?: true;
}

/** `cells network`: whether what requests name in `network.allow` can be reached from here. */
export function define(command: Command, cli: Cli): void {
  const about = `
A target is host:port, as in network.allow of a request. A name is a service of the project that COMPOSE_PROJECT_NAME names
(agent-cells where it is not set), else what this host knows by it. Exit status: 1 when one cannot be reached.`;
  command
    .command('validate')
    .summary('check that targets can be reached')
    .description('Check that targets can be reached.')
    .argument('[targets...]', 'such as db:5432')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', about)
    .action((targets: string[], flags: NetworkFlags) => validate(targets, [], flags, cli));
  command
    .command('repair')
    .summary("make the project's network, and connect services that are in none")
    .description("Make the project's network, and connect services that are in none which this host reaches.")
    .argument('[targets...]', 'such as db:5432')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', about)
    .action((targets: string[], flags: NetworkFlags) => repair(targets, flags, cli));
}

async function repair(targets: readonly string[], flags: NetworkFlags, cli: Cli): Promise<void> {
  parse(targets);
  const done = await repairNetwork(await answeringEngine(cli), cli.config().docker.project, targets);
  for (const line of done) cli.note(line);
  await validate(targets, done, flags, cli);
}

async function validate(targets: readonly string[], done: string[], { json }: NetworkFlags, cli: Cli): Promise<void> {
  parse(targets);
  const engine = await answeringEngine(cli);
  const { project } = cli.config().docker;
  const [network, states] = await Promise.all([hasNetwork(engine, project), checkTargets(engine, project, targets)]);
  if (json) cli.print(JSON.stringify({ project, network: network ? networkOf(project) : null, done, targets: states }));
  else print(project, network, states, cli);
  if (states.some(({ problem }) => problem !== null)) cli.exit(exitCodes.error);
}

function print(project: string, network: boolean, states: readonly TargetState[], cli: Cli): void {
  cli.note(
    network
      ? `project ${project} has the network ${networkOf(project)}`
      : `project ${project} has no network of ours; it needs one where a service is in none that this host reaches: cells network repair`,
  );
  if (states.length === 0) return;
  const rows = states.map(({ target, by, address, problem }) => [target, by ?? '–', address ?? '–', problem ?? 'ok']);
  cli.print(renderTable(['target', 'found by', 'address', 'state'], rows, cli.colors));
}

/** @throws UserError for what no request can name */
function parse(targets: readonly string[]): void {
  const wrong = targets.find((target): boolean => !v.is(networkTarget, target));
  const why =
    wrong === undefined ? impossibleIn({ network: { allow: [...targets] } })?.why : `${wrong} is not a target`;
  if (why !== undefined) throw new UserError('InvalidInput', why, { try: 'give host:port, such as db:5432' });
}
