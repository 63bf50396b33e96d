import { createHash } from 'node:crypto';
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { replaceFile } from '../files/replace-file.ts';
import type { BaseConfig } from './config.ts';

/** What servers are told of models in place of the table that is built into them. */
export interface KnownModels {
  /** In the form of models.dev. */
  file: string;
  /** Differs where the file does. */
  digest: string;
  /** Whether a server that has the file knows of a model, `provider/model`, all that it would know without. */
  covers(model: string): boolean;
}

export interface ModelsUse {
  /** Where the file goes. */
  directory: string;
  base: BaseConfig;
  /** Models that agents are given by default, `provider/model`. */
  models: readonly string[];
  /** Credentials of providers, by the names of their variables. */
  providerEnvironment: Readonly<Record<string, string>>;
}

/** What is asked of the thread that reads the table. */
export interface ProvidersWanted {
  ids: readonly string[];
  /** Variables: every provider is wanted that takes its credentials from one of them. */
  variables: readonly string[];
}

/**
 * Writes down what OpenCode knows of the providers that a host can use: those of its configuration and its models, and those that
 * it has credentials for. The whole table has more than two hundred; it costs each server 80 MiB, and seconds of processor time at
 * its first prompt. Null where the table cannot be read: then servers have the whole of it.
 */
export async function writeModels(use: ModelsUse): Promise<KnownModels | null> {
  const { directory, base, models, providerEnvironment } = use;
  const ids = new Set([...Object.keys(base.provider ?? {}), ...[...models, ...modelsIn(base)].map(providerOf)]);
  const table = await readTable({ ids: [...ids], variables: Object.keys(providerEnvironment) });
  if (table === null) return null;
  const [file, text] = [join(directory, 'models.json'), JSON.stringify(table)];
  // No secret is in it, and confined cells read it as users of their own.
  await replaceFile(file, text, { mode: 0o644 });
  const digest = createHash('sha256').update(text).digest('hex');
  for (const id of Object.keys(table)) ids.add(id);
  return { file, digest, covers: (model) => ids.has(providerOf(model)) };
}

/** Every model that an operator's configuration names. */
function modelsIn({ model, small_model, agent, command }: BaseConfig): string[] {
  const parts: unknown[] = [...Object.values(agent ?? {}), ...Object.values(command ?? {})];
  const named = parts.map((part) => (typeof part === 'object' && part !== null && 'model' in part ? part.model : null));
  return [model, small_model, ...named].filter((name) => typeof name === 'string');
}

const providerOf = (model: string): string => model.split('/')[0] ?? model;

/** In a thread of its own: it takes half a second, and memory that goes with the thread. */
function readTable(wanted: ProvidersWanted): Promise<Record<string, unknown> | null> {
  return new Promise((resolve) => {
    const thread = new Worker(new URL(`./models-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData: wanted,
    });
    thread.once('message', (table: Record<string, unknown> | null) => resolve(table));
    // Servers do without: the table is a saving.
    thread.once('error', () => resolve(null));
    thread.once('exit', () => resolve(null));
  });
}
