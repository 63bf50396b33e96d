import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { isolations } from '../domain/request.ts';
import { UserError } from '../domain/user-error.ts';

/** What the flags give; names are those of commander. */
export interface RequestFlags {
  taskId?: string;
  agentId?: string;
  repository?: string;
  branch?: string;
  agentType?: string;
  model?: string;
  testCommand?: string;
  testTimeout?: string;
  protect?: string[];
  maxRepairs?: string;
  timeout?: string;
  queueTimeout?: string;
  tokenBudget?: string;
  runtime?: string;
  memory?: string;
  cpus?: string;
  pids?: string;
  network?: string[];
  env?: string[];
  commitMessage?: string;
  priorityKey?: string;
  fairnessKey?: string;
  fairnessWeight?: string;
  label?: string[];
}

/** Adds a flag for every field of a request. Which values are allowed is decided where requests are parsed, and only there. */
export function addRequestFlags(command: Command): Command {
  return command
    .option('--task-id <id>', 'task that the work belongs to (required here or in the file)')
    .option('--agent-id <id>', 'agent within the task (required here or in the file)')
    .option('--repository <path|url>', "git repository to work on (default: the worker's)")
    .option('--branch <name>', 'branch, tag or commit to start from (default: main)')
    .option('--agent-type <name>', 'agent type of config/agents.yaml (default: worker)')
    .option('--model <provider/model>', "model (default: the agent type's)")
    .option('--test-command <command>', 'shell command whose exit code 0 passes (default: no tests)')
    .option('--test-timeout <duration>', 'time for the test command (default: 10m)')
    .option('--protect <glob>', 'files that the agent may read but not change (repeatable)', collect)
    .option('--max-repairs <count>', 'how often failing tests go back to the agent (default: 1)')
    .option('--timeout <duration>', 'whole life of the cell once it is spawned (default: 30m)')
    .option('--queue-timeout <duration>', 'how long it may wait for a free host (default: 24h)')
    .option('--token-budget <tokens>', 'tokens of all kinds over all attempts (default: 50000)')
    .addOption(new Option('--runtime <name>', "isolation (default: the host's)").choices([...isolations]))
    .option('--memory <size>', 'memory limit, such as 768m; for runtimes that can enforce it')
    .option('--cpus <count>', 'processor limit; for runtimes that can enforce it')
    .option('--pids <count>', 'limit of processes; for runtimes that can enforce it')
    .option('--network <none|host:port>', 'what the cell reaches besides its model (repeatable)', collect)
    .option('--env <name=value>', "environment of the test command and the agent's shell (repeatable)", collect)
    .option('--commit-message <text>', "message of the commit (default: made from the agent's summary)")
    .option('--priority-key <1-5>', "Temporal's priority; 1 goes first")
    .option('--fairness-key <key>', "Temporal's fairness key")
    .option('--fairness-weight <weight>', "Temporal's fairness weight")
    .option('--label <name=value>', 'label, carried along and never interpreted (repeatable)', collect);
}

/** Repeated, rather than a list after one flag: that would take the prompt as well. */
const collect = (value: string, before: string[] = []): string[] => [...before, value];

/** The request fields that the flags give, not yet parsed as a request; paths are made absolute. */
export function fieldsFrom(flags: RequestFlags): Record<string, unknown> {
  return given({
    taskId: flags.taskId,
    agentId: flags.agentId,
    repository: flags.repository === undefined ? undefined : repositoryFrom(flags.repository),
    branch: flags.branch,
    agentType: flags.agentType,
    model: flags.model,
    testCommand: flags.testCommand,
    testTimeout: durationFrom(flags.testTimeout),
    protectedPaths: flags.protect,
    maxRepairs: numberFrom(flags.maxRepairs),
    timeout: durationFrom(flags.timeout),
    queueTimeout: durationFrom(flags.queueTimeout),
    tokenBudget: numberFrom(flags.tokenBudget),
    runtime: flags.runtime,
    resources: group({ memory: flags.memory, cpus: numberFrom(flags.cpus), pids: numberFrom(flags.pids) }),
    network: networkFrom(flags.network),
    env: pairsFrom('--env', flags.env),
    commitMessage: flags.commitMessage,
    priority: group({
      priorityKey: numberFrom(flags.priorityKey),
      fairnessKey: flags.fairnessKey,
      fairnessWeight: numberFrom(flags.fairnessWeight),
    }),
    labels: pairsFrom('--label', flags.label),
  });
}

const repositoryFrom = (text: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\/|^[\w.-]+@[\w.-]+:/i.test(text) ? text : resolve(text);

/** Bare digits are milliseconds, as in the contract. */
export const durationFrom = <Text extends string | undefined>(text: Text): Text | number =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : text;

/** NaN for what is not a number: the parser of requests then says so, with the name of the field. */
const numberFrom = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : text.trim() === '' ? Number.NaN : Number(text);

function networkFrom(words: string[] | undefined): 'none' | { allow: string[] } | undefined {
  if (words === undefined) return undefined;
  return words.length === 1 && words[0] === 'none' ? 'none' : { allow: words };
}

function pairsFrom(flag: string, pairs: string[] | undefined): Record<string, string> | undefined {
  return pairs && Object.fromEntries(pairs.map((pair) => split(flag, pair)));
}

function split(flag: string, pair: string): [name: string, value: string] {
  const at = pair.indexOf('=');
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
  throw new UserError('InvalidInput', `${flag} ${pair}: expected name=value`, {
    try: `write it as ${flag} NAME=value`,
  });
}

function group(fields: Record<string, unknown>): Record<string, unknown> | undefined {
  const some = given(fields);
  return Object.keys(some).length === 0 ? undefined : some;
}

const given = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
