import type { Command } from 'commander';
import { buildBaseImage } from '../../runtimes/docker/image.ts';
import type { Cli } from '../cli.ts';
import { answeringEngine } from '../docker-engine.ts';

interface BuildFlags {
  json?: true;
}

/** `cells image`: what cells in Docker run on. */
export function define(command: Command, cli: Cli): void {
  command
    .command('build')
    .summary('make the base image out of this host, without a registry')
    .description('Make the base image out of this host, without a registry.')
    .option('--json', 'print what was made as JSON')
    .addHelpText(
      'after',
      `
It holds empty directories and a little of /etc; programs are the host's, from /usr, which a cell gets to read. Nothing is
downloaded, and what is there already is not made again. DOCKER_HOST says which engine, CELLS_DOCKER_IMAGE names another image.`,
    )
    .action((flags: BuildFlags) => build(flags, cli));
}

async function build({ json }: BuildFlags, cli: Cli): Promise<void> {
  const engine = await answeringEngine(cli);
  const image = await buildBaseImage(engine, (line) => cli.note(line));
  if (json) return cli.print(JSON.stringify(image));
  cli.print(image.name);
  cli.note(image.built ? 'the image is made' : 'the image was there already');
}
