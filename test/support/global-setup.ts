import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { requiredSearchAttributes } from '../../src/domain/search-attributes.ts';
import { type DevServer, startDevServer } from '../../src/temporal/dev-server.ts';
import { findTemporal } from '../../src/temporal/find-temporal.ts';
import { leftovers, traces } from './leftovers.ts';
import { testRun } from './run.ts';
import { temporaryDirectory } from './temporary-directory.ts';

declare module 'vitest' {
  interface ProvidedContext {
    temporalAddress: string;
    /** Null where the server was given and its Web UI is not known. */
    temporalUiAddress: string | null;
  }
}

/** One server for all projects of the run: each of them calls the set-up, the last to end stops the server. */
interface SharedServer extends AsyncDisposable {
  address: string;
  uiAddress: string | null;
}

interface Shared {
  users: number;
  server: Promise<SharedServer>;
}

// The projects load this file each in a module graph of its own: what they share cannot be a variable of the module.
const registry: { [key: symbol]: Shared | undefined } = globalThis;
const key = Symbol.for('agent-cells.test-server');

/** Brings up Temporal; at the end stops it, and fails the run when something is left on the machine that was not there before. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = (registry[key] ??= { users: 0, server: start() });
  shared.users += 1;
  const { address, uiAddress } = await shared.server;
  project.provide('temporalAddress', address);
  project.provide('temporalUiAddress', uiAddress);
  return async () => {
    shared.users -= 1;
    if (shared.users === 0) await (await shared.server)[Symbol.asyncDispose]();
  };
}

async function start(): Promise<SharedServer> {
  testRun();
  const before = await traces();
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => {
    const left = await leftovers(before);
    if (left.length > 0) throw new Error(`the tests left behind:\n${left.map((line) => `  ${line}`).join('\n')}`);
  });
  const signal = AbortSignal.timeout(30 * 60_000);
  const found = await findTemporal({
    address: process.env['TEMPORAL_ADDRESS'],
    onStep: (line) => console.log(line),
    signal,
  });
  const server = found.kind === 'address' ? given(found.address) : stack.use(await startOwn(found.path, stack));
  process.env['TEMPORAL_ADDRESS'] = server.address;
  const owned = stack.move();
  return { address: server.address, uiAddress: server.uiAddress, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const given = (address: string) => ({ address, uiAddress: null });

async function startOwn(binary: string, stack: AsyncDisposableStack): Promise<DevServer> {
  const directory = stack.use(await temporaryDirectory());
  withoutSettingsOfTheUser();
  return await startDevServer({
    binary,
    port: 0,
    logFile: join(directory.path, 'temporal.log'),
    searchAttributes: requiredSearchAttributes,
    signal: new AbortController().signal,
  });
}

/** A namespace, an API key or a profile of the user belongs to another server than ours. */
function withoutSettingsOfTheUser(): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('TEMPORAL_')) delete process.env[name];
  process.env['TEMPORAL_CONFIG_FILE'] = '/dev/null';
}
