import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { listCells } from '../../client/list.ts';
import type { Config } from '../../config.ts';
import { UserError } from '../../domain/user-error.ts';
import { withoutCredentials } from '../../domain/without-credentials.ts';
import { opencodeProvider, scriptedModelId } from '../../scripted-model/opencode-provider.ts';
import { startScriptedModel } from '../../scripted-model/server.ts';
import { loadTemplates } from '../../templates/load.ts';
import { connectTemporal, temporalTarget } from '../../temporal/connection.ts';
import { runWorker } from '../../worker.ts';
import type { Cli } from '../cli.ts';
import { endCells } from '../end-cells.ts';
import { alone, hostLog } from '../host-log.ts';
import { type LocalTemporal, openLocalTemporal } from '../local-temporal.ts';
import { portFrom } from '../port.ts';

interface DevFlags {
  repository?: string;
  script?: string;
  model?: string;
  port?: string;
  dbFilename?: string;
}

/** `cells dev`: all that cells need, on this machine and in this terminal. */
export function define(command: Command, cli: Cli): void {
  command
    .option('-r, --repository <path|url>', 'what cells work on (default: CELLS_REPOSITORY, else the working directory)')
    .option('-s, --script <file>', 'use a scripted model that plays this file, instead of a real one')
    .option('-m, --model <provider/model>', "model of requests that name none (default: the agent type's)")
    .option('-p, --port <port>', "Temporal's port; the Web UI's is 1000 more (default: 7233, or any free one)")
    .option('--db-filename <file>', 'keep what Temporal knows in this file, over restarts')
    .addHelpText(
      'after',
      '\nCtrl-C ends it all, running cells included unless --db-filename keeps what Temporal knows of them. With TEMPORAL_ADDRESS set, that server is used and none is started.',
    )
    .action((flags: DevFlags) => dev(flags, cli));
}

async function dev(flags: DevFlags, cli: Cli): Promise<void> {
  if (flags.script !== undefined && flags.model !== undefined) {
    throw new UserError('InvalidInput', '--script and --model exclude each other', {
      try: `with --script the model is ${scriptedModelId}`,
    });
  }
  const port =
    flags.port === undefined ? {} : { port: portFrom(flags.port, 64_535, ", for the Web UI's is 1000 more") };
  const signal = cli.interruption();
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'agent-cells-dev-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const base = configFrom(flags, cli.config());
  const logFile = join(base.stateDirectory, 'temporal.log');
  const temporal = stack.use(
    await openLocalTemporal({
      environment: base.temporal,
      logFile,
      onStep: (line) => cli.note(line),
      signal,
      ...port,
      ...(flags.dbFilename === undefined ? {} : { databaseFile: resolve(flags.dbFilename) }),
    }),
  );
  const { config, model } = await withModel(flags, base, directory, stack);
  announce(cli, { temporal, config, model });
  const worker = { ...config, temporal: temporal.environment };
  const stopped = new AbortController();
  // Without its server the worker could only wait.
  void temporal.exited.then(() => stopped.abort(signal.aborted ? undefined : serverLost(logFile)));
  // Whoever interrupted it until now has nothing that must come to an end by itself.
  signal.throwIfAborted();
  const interrupted = () => void endAll(flags, temporal, cli).finally(() => stopped.abort());
  signal.addEventListener('abort', interrupted, { once: true });
  // What the server forgets cannot go on.
  const endsWithWorkers = forgets(flags, temporal);
  await alone(config.stateDirectory, () =>
    runWorker(worker, {
      log: hostLog(worker),
      signal: stopped.signal,
      endsWithWorkers,
      ready: () => cli.note('ready'),
    }),
  ).catch((error: unknown) => {
    // What a worker says that was cut off follows from that.
    throwIfLost(stopped.signal);
    throw error;
  });
  throwIfLost(stopped.signal);
}

const serverLost = (logFile: string): UserError =>
  new UserError('TemporalUnreachable', 'the Temporal server has ended, and the worker with it', {
    try: `see how it ended in ${logFile}, and start anew`,
  });

function throwIfLost({ reason }: AbortSignal): void {
  if (reason instanceof UserError) throw reason;
}

/** What this server forgets when it ends cannot go on: its cells are cancelled while the worker can still tear them down. */
async function endAll(flags: DevFlags, temporal: LocalTemporal, cli: Cli): Promise<void> {
  if (!forgets(flags, temporal)) return;
  try {
    await using connection = await connectTemporal(temporalTarget(temporal.environment));
    const cells = await listCells(connection.client, { status: 'running', limit: 1000 });
    if (cells.length > 0)
      cli.note(
        `ending ${cells.length} ${cells.length === 1 ? 'cell' : 'cells'}; Ctrl-C again ends them at once, and leaves their files to the next worker's reaper`,
      );
    await endCells(
      connection.client,
      cells.map(({ workflowId }) => workflowId),
      'the dev server ends',
    );
  } catch (error) {
    cli.note(
      `the cells could not be ended (${error instanceof Error ? error.message : String(error)}); the next worker's reaper will`,
    );
  }
}

const forgets = ({ dbFilename }: DevFlags, { ours }: LocalTemporal): boolean => ours && dbFilename === undefined;

function configFrom({ repository }: DevFlags, config: Config): Config {
  if (repository === undefined && config.repositories.length > 0) return config;
  const place = repository ?? process.cwd();
  const known = /^[a-z][a-z0-9+.-]*:\/\/|^[\w.-]+@[\w.-]+:/i.test(place) ? place : resolve(place);
  return { ...config, repository: known, repositories: [...config.repositories, known] };
}

/** The scripted model's provider goes into an OpenCode configuration, and its name into every agent type. */
async function withModel(
  { script, model }: DevFlags,
  config: Config,
  directory: string,
  stack: AsyncDisposableStack,
): Promise<{ config: Config; model: string }> {
  if (script === undefined && model === undefined) return { config, model: "the agent types' own" };
  const name = model ?? scriptedModelId;
  const types = Object.entries(await loadTemplates(config.templates)).map(([type, template]) => [
    type,
    { ...template, model: name },
  ]);
  const templates = join(directory, 'agents.yaml');
  await writeFile(templates, stringify({ agents: Object.fromEntries(types) }));
  if (script === undefined) return { config: { ...config, templates }, model: name };
  const server = stack.use(await startScriptedModel({ file: script }));
  const opencodeConfig = join(directory, 'opencode.json');
  await writeFile(opencodeConfig, JSON.stringify(opencodeProvider(server.url)));
  return {
    config: { ...config, templates, opencodeConfig },
    model: `${name} at ${server.url}, playing ${server.scripts.join(', ')}`,
  };
}

interface Announced {
  temporal: { address: string; uiAddress: string | null };
  config: Config;
  model: string;
}

function announce(cli: Cli, { temporal, config, model }: Announced): void {
  const line = (label: string, value: string) => cli.print(`${cli.colors.bold(label.padEnd(12))}${value}`);
  line('Temporal', temporal.address);
  if (temporal.uiAddress !== null) line('Web UI', temporal.uiAddress);
  line('repository', withoutCredentials(config.repositories.join(', ')));
  line('model', model);
  line(
    'worker',
    `${config.hostId}: ${config.capacity} cells, ports ${config.ports.from}-${config.ports.to}, state in ${config.stateDirectory}`,
  );
  line('try', `TEMPORAL_ADDRESS=${temporal.address} cells run --task-id try --agent-id a1 'Say hello in HELLO.md'`);
}
