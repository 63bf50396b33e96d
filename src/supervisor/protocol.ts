import { join } from 'node:path';
import * as v from 'valibot';
import { isolations } from '../domain/request.ts';
import type { CellGrant } from '../gateway/grant.ts';
import type { Command, Confinement, ProcessSpec, RuntimeHandle } from '../runtimes/runtime.ts';

/**
 * The version of the API: in every path, so that a worker of the next release can talk to a supervisor of this one,
 * or be told that it cannot.
 */
export const apiVersion = 1;

/** How a supervisor is told to run; what is left out has its default, see `SupervisorOptions`. */
export const launchSchema = v.strictObject({
  stateDirectory: v.string(),
  idleMs: v.exactOptional(v.number()),
  groups: v.exactOptional(v.string()),
  docker: v.exactOptional(
    v.strictObject({ host: v.nullable(v.string()), image: v.nullable(v.string()), project: v.string() }),
  ),
});

/** The same, for one who connects and may be the one to start it. */
export type LaunchOptions = Omit<v.InferOutput<typeof launchSchema>, 'stateDirectory'>;

/** The socket of the supervisor of a state directory; mode 600. */
export const socketOf = (stateDirectory: string): string => join(stateDirectory, 'supervisor.sock');

/** What a supervisor says of itself. */
export interface SupervisorInfo {
  apiVersion: number;
  /** Of agent-cells. */
  version: string;
  pid: number;
  /** Milliseconds since the epoch. */
  startedAt: number;
  /** The cells that have processes or ports. */
  cells: string[];
  /** The servers that wait for a cell: nobody's work is lost with them. Absent from supervisors of earlier versions. */
  warm?: string[];
  /** How many workers are attached. */
  workers: number;
}

/** How an error crosses the socket: the client makes an error of the same name again. */
export interface WireError {
  name: string;
  message: string;
}

const cellId = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/, 'is not the id of a cell'));
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const strings = v.record(v.string(), v.string());
const command = v.pipe(
  v.array(v.string()),
  v.check((parts) => parts.length > 0, 'must not be empty'),
  // Checked above; the compiler does not follow it.
  v.transform((parts) => parts as [string, ...string[]]),
);

const limit = v.nullable(v.pipe(v.number(), v.minValue(0)));
const confinement = v.strictObject({
  writable: v.array(v.string()),
  readable: v.array(v.strictObject({ source: v.string(), target: v.string() })),
  inlet: v.nullable(v.string()),
  outlet: v.nullable(v.string()),
  model: v.boolean(),
  allow: v.array(v.string()),
  // A worker of an earlier version names no `disk`.
  limits: v.strictObject({ memory: limit, cpus: limit, pids: limit, disk: v.optional(limit, null) }),
}) satisfies v.GenericSchema<unknown, Confinement>;

/** By which runtime something is done. A worker of a version that knew one names none. */
const runtime = v.optional(v.picklist(isolations), 'process');

const processEntries = {
  cellId,
  command,
  directory: v.string(),
  env: strings,
  logFile: v.string(),
  confinement: v.exactOptional(confinement),
};

export const processSchema = v.strictObject({ runtime, ...processEntries }) satisfies v.GenericSchema<
  unknown,
  ProcessSpec
>;

export const commandSchema = v.strictObject({
  runtime,
  ...processEntries,
  execId: v.pipe(v.string(), v.nonEmpty()),
  timeoutMs: v.pipe(v.number(), v.minValue(1)),
}) satisfies v.GenericSchema<unknown, Command>;

export const handleSchema = v.strictObject({
  version: v.literal(1),
  runtime: v.picklist(isolations),
  cellId,
  pid: v.pipe(v.number(), v.integer(), v.minValue(1)),
  startTime: v.string(),
  bootId: v.string(),
}) satisfies v.GenericSchema<unknown, RuntimeHandle>;

/** Names a call, so that it can be cancelled. */
export const callHeader = 'x-call';

export const cancelSchema = v.strictObject({ call: v.string() });
export const portSchema = v.strictObject({ runtime, cellId, port });
export const cellSchema = v.strictObject({ cellId });
export const destroySchema = v.strictObject({ runtime, cellId });
export const stopSchema = v.strictObject({ force: v.boolean() });

const price = v.number();
const userId = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1));
const tokenBudget = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** It carries the keys of providers: it is never logged, and never written down. */
export const grantSchema = v.strictObject({
  cellId,
  tokenBudget,
  door: v.exactOptional(
    v.variant('kind', [
      v.strictObject({
        kind: v.literal('socket'),
        path: v.pipe(v.string(), v.startsWith('/')),
        uid: v.exactOptional(userId),
      }),
      v.strictObject({ kind: v.literal('loopback') }),
    ]),
  ),
  routes: v.array(
    v.strictObject({
      provider: v.string(),
      // What is wrong is not repeated: it may hold a credential.
      baseUrl: v.pipe(v.string(), v.url('must be a URL')),
      headers: strings,
      models: v.record(
        v.string(),
        v.nullable(v.strictObject({ input: price, output: price, cacheRead: price, cacheWrite: price })),
      ),
      usageUnasked: v.exactOptional(v.literal(true)),
    }),
  ),
}) satisfies v.GenericSchema<unknown, CellGrant>;

export const budgetSchema = v.strictObject({ cellId, tokenBudget });
