import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseJsonc, printParseErrorCode, type ParseError } from 'jsonc-parser';
import * as v from 'valibot';
import type { ProviderRoute } from '../gateway/grant.ts';
import { type GatewayAddress, providersBehindGateway } from './gateway-config.ts';

const record = v.record(v.string(), v.unknown());

/** What is taken over from an operator's OpenCode configuration; the rest of it does not concern cells. */
const baseSchema = v.object({
  provider: v.optional(v.record(v.string(), record)),
  model: v.optional(v.string()),
  small_model: v.optional(v.string()),
  agent: v.optional(v.record(v.string(), record)),
  mcp: v.optional(record),
  command: v.optional(record),
  instructions: v.optional(v.array(v.string())),
});

/** The base of every cell's configuration. */
export type BaseConfig = v.InferOutput<typeof baseSchema>;

/** What a template of agents may say to OpenCode. */
export interface AgentOptions {
  temperature?: number | undefined;
  steps?: number | undefined;
  permission?: Record<string, unknown> | undefined;
}

/** A server or chunk that is silent for this long is asked again by OpenCode, at most five times. */
const providerSilence = 90_000;

/** Everything is decided: whatever would be asked of a person would wait for ever. */
const permission = {
  '*': 'allow',
  question: 'deny',
  doom_loop: 'deny',
  webfetch: 'deny',
  websearch: 'deny',
  skill: 'deny',
  task: 'deny',
};

/** Reads an OpenCode configuration file, JSON or JSONC. Throws an Error that names the file and what is wrong. */
export async function readBaseConfig(file: string | null): Promise<BaseConfig> {
  if (file === null) return {};
  const errors: ParseError[] = [];
  const value: unknown = parseJsonc(await readFile(file, 'utf8'), errors, { allowTrailingComma: true });
  const [fault] = errors;
  if (fault) throw new Error(`${file}: ${printParseErrorCode(fault.error)} at offset ${fault.offset}`);
  const parsed = v.safeParse(baseSchema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new Error(`${file}: ${v.getDotPath(issue) ?? 'the file'}: ${issue.message}`);
}

/**
 * What holds for every cell, whatever its template says. Servers are started with it in their environment, where it goes over
 * the file of the cell's own configuration: an agent can write in that one.
 */
export function fixedConfig(home: string): FixedConfig {
  return {
    permission: { question: 'deny', external_directory: { '*': 'deny', [join(home, '**')]: 'allow' } },
    snapshot: false,
    share: 'disabled',
    autoupdate: false,
  };
}

interface FixedConfig {
  permission: Record<string, unknown>;
  snapshot: boolean;
  share: string;
  autoupdate: boolean;
}

/**
 * The configuration of one cell's server, as JSON: the operator's base, overridden by what the cell's safety needs. It is a file,
 * since a server that was booted ahead learns only later whose cell it is.
 */
export async function cellConfig(cell: {
  base: BaseConfig;
  model: string;
  agent: AgentOptions;
  worktree: string;
  home: string;
  /** The way to its models; null when it reaches its providers itself. */
  gateway: { routes: readonly ProviderRoute[]; address: GatewayAddress } | null;
}): Promise<string> {
  const { base, model, worktree } = cell;
  const { temperature, steps } = cell.agent;
  const fixed = fixedConfig(cell.home);
  return JSON.stringify({
    // OpenCode would write it into the file.
    $schema: 'https://opencode.ai/config.json',
    ...base,
    model,
    small_model: base.small_model ?? model,
    ...(cell.gateway === null
      ? { provider: withSilenceLimits(base.provider ?? {}, model.slice(0, model.indexOf('/'))) }
      : providersBehindGateway(base, cell.gateway.routes, cell.gateway.address)),
    agent: {
      ...base.agent,
      build: {
        ...base.agent?.['build'],
        ...(temperature === undefined ? {} : { temperature }),
        ...(steps === undefined ? {} : { steps }),
      },
    },
    instructions: [...(base.instructions ?? []), ...(await projectInstructions(worktree))],
    ...fixed,
    permission: { ...permission, ...cell.agent.permission, ...fixed.permission },
  });
}

function withSilenceLimits(providers: NonNullable<BaseConfig['provider']>, used: string): Record<string, unknown> {
  const named: Record<string, Record<string, unknown>> = { [used]: {}, ...providers };
  return Object.fromEntries(
    Object.entries(named).map(([name, provider]) => {
      const options = v.is(record, provider['options']) ? provider['options'] : {};
      return [
        name,
        { ...provider, options: { headerTimeout: providerSilence, chunkTimeout: providerSilence, ...options } },
      ];
    }),
  );
}

/** With the project's own configuration off, its instructions have to be named. */
async function projectInstructions(worktree: string): Promise<string[]> {
  const file = join(worktree, 'AGENTS.md');
  return access(file).then(
    () => [file],
    () => [],
  );
}
