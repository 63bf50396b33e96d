import type { Semaphore } from 'async-mutex';
import type { Logger } from 'pino';
import type { IsolationName } from '../domain/request.ts';
import type { ModelGateway } from '../gateway/model-gateway.ts';
import type { AuditLog } from '../journal/audit.ts';
import type { BaseConfig } from '../opencode/config.ts';
import type { KnownModels } from '../opencode/models.ts';
import type { ProviderGate } from '../providers/provider-gate.ts';
import type { CellRuntime, Probe } from '../runtimes/runtime.ts';
import type { Templates } from '../templates/template.ts';
import type { Breaker } from './breaker.ts';
import type { LeaseStore } from './leases.ts';

/** What the steps of a cell need of their host: made once, in the worker, and handed down. */
export interface CellHost {
  readonly hostId: string;
  readonly stateDirectory: string;
  readonly ports: { from: number; to: number };
  /** The repository of a request that names none. */
  readonly repository: string | null;
  /** Paths and URL prefixes that may be worked on. */
  readonly repositories: readonly string[];
  /** The runtime of a request that names none. */
  readonly defaultRuntime: IsolationName;
  readonly runtimes: Readonly<Record<IsolationName, { runtime: CellRuntime; probe: Probe }>>;
  /** The image of cells in containers; null for the base image that is made here. */
  readonly dockerImage: string | null;
  readonly leases: LeaseStore;
  readonly templates: Templates;
  /** The operator's OpenCode configuration. */
  readonly opencode: BaseConfig;
  /** Where that lies; null when there is none. */
  readonly opencodeFile: string | null;
  /** What servers know of models; null for all that is built into OpenCode. */
  readonly models: KnownModels | null;
  /** The way of cells to their models, in the supervisor; null where no cell is made. */
  readonly gateway: ModelGateway | null;
  /** Whether cells go that way that are not confined: those that are always do. */
  readonly behindGateway: boolean;
  readonly providerEnvironment: Readonly<Record<string, string>>;
  /** Where the agent's shell finds programs. */
  readonly path: string;
  /** What confined cells see of the host besides the system, read-only, and where inside. */
  readonly volumes: readonly { source: string; target: string }[];
  /** How long an agent may say nothing before it counts as hung, milliseconds. */
  readonly silenceLimitMs: number;
  /** What a cell may use in all, bytes: one that comes near it gets another server between two steps. */
  readonly serverMemory: number;
  /** What the files of a cell may take, bytes: one that takes more fails. */
  readonly cellDisk: number;
  /** How long a step may wait for a worker of this host before the host counts as lost, milliseconds. */
  readonly hostLostAfterMs: number;
  /** Servers that boot at the same time: booting is a matter of the processor, and more at once only make each slower. */
  readonly boots: Semaphore;
  /** Holds prompts back while their provider fails. */
  readonly providers: ProviderGate;
  /** The configurations that a server of this worker has taken, see `configName`. */
  readonly proven: Set<string>;
  /** How many servers wait, booted ahead, for a cell; 0 for none. */
  readonly warmServers: number;
  /** Told how spawns end: a host that fails one after the other stops claiming for a while. */
  readonly spawns: Breaker;
  /** Aborted when this host ends its cells on purpose, after its last claim: steps at work stop, and no agent is started any more. */
  readonly closing: AbortController;
  readonly log: Logger;
  /** What the host did and refused, for a person to look into later. */
  readonly audit: AuditLog;
}
