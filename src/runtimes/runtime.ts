import type { IsolationName } from '../domain/request.ts';

/** Whether a runtime can be used on this host, and if not why, and what to do about it. */
export type Probe = { usable: true; notes: string[] } | { usable: false; why: string; try: string };

/** What a cell may use at most; null for no limit. */
export interface Limits {
  /** Bytes, of all processes of the cell together; there is no swap beyond it. */
  memory: number | null;
  /** Processors, as a number that may have a fraction. */
  cpus: number | null;
  /** Processes and threads. */
  pids: number | null;
  /** Bytes of any one file that the cell writes. */
  disk: number | null;
}

/**
 * What a confined process sees of its host besides the system, what it reaches, and what it may use. Host paths are the same inside.
 *
 * Inside there is a loopback interface and nothing else. What leads in or out is a Unix socket in one of two directories of the host.
 */
export interface Confinement {
  /** Files and directories that it may change. */
  writable: readonly string[];
  /** Files and directories that it may read, and where they are inside: the later one covers what an earlier one shows there. */
  readable: readonly { source: string; target: string }[];
  /** The directory for the socket by which the server inside is reached; null for what serves nothing. It is the cell's to write. */
  inlet: string | null;
  /** The directory of the sockets that lead out, which the cell cannot change; null where nothing does. */
  outlet: string | null;
  /** Whether `modelSocketName` in the outlet leads to the models; inside, it is `modelPort` on loopback. */
  model: boolean;
  /** Targets as `host:port`, which the cell reaches by the same name and port. The runtime opens a socket in the outlet for each. */
  allow: readonly string[];
  limits: Limits;
}

/** The port on which a server that is confined has to listen, on the loopback of its cell. */
export const confinedServerPort = 4096;
/** The port at which a confined cell finds its models, on the loopback of its cell. */
export const modelPort = 4097;
/** The name of the socket in the outlet that leads to the models. */
export const modelSocketName = 'model.sock';

/** A process to start in a cell. It runs in `directory`, with exactly `env`, its output going to `logFile`. */
export interface ProcessSpec {
  cellId: string;
  command: readonly [string, ...string[]];
  directory: string;
  env: Record<string, string>;
  /** Both output streams are appended here, so that they outlive the worker. */
  logFile: string;
  /** Runtimes that confine need it, and the others are not given any. */
  confinement?: Confinement;
}

/** What stands for a started process. It is data, so that any worker process on the host can act on it. */
export interface RuntimeHandle {
  version: 1;
  runtime: IsolationName;
  cellId: string;
  pid: number;
  /** Start time of the process in clock ticks since boot: with the boot id it tells the process from a later one of the same number. */
  startTime: string;
  bootId: string;
}

/** A command that runs where the agent ran, and ends before its caller goes on. Its log file begins anew with each run. */
export interface Command extends ProcessSpec {
  /** Names this run; everything that carries it is ended when the command is over. */
  execId: string;
  timeoutMs: number;
}

export interface ExecResult {
  /** Null when it was ended by a signal or by the timeout. */
  exitCode: number | null;
  timedOut: boolean;
  /** Until the command itself was over; ending what it left behind is not counted. */
  durationMs: number;
  /** How many processes the command left behind, which were ended. */
  leftovers: number;
  /** What the command wrote in all. */
  outputBytes: number;
  /** How much of it is not in the log file, which has a maximum size: it keeps the beginning and the end. */
  outputBytesLeftOut: number;
  /** Meanwhile a process was ended for the memory limit of the cell, as far as that can be told. */
  outOfMemory?: true;
}

export type RuntimeStatus =
  | { kind: 'running' }
  /** `outOfMemory` where it was ended for its limit, as far as that can be told. */
  | { kind: 'exited'; exitCode: number | null; outOfMemory?: boolean }
  | { kind: 'gone'; outOfMemory?: boolean };

/** What a cell uses at this moment; null for what cannot be told. */
export interface RuntimeStats {
  /** Bytes: the proportional size of its processes. */
  memory: number;
  /** The limit that is in force. */
  memoryLimit: number | null;
  /** Milliseconds of processor time of what lives now. */
  cpuMs: number;
  processes: number;
}

/** Fields of a request that a runtime enforces, or says that it does not: `resources` for all of its parts. */
export const enforcedFields = ['resources', 'resources.cpus', 'resources.pids', 'network'] as const;
export type EnforcedField = (typeof enforcedFields)[number];

/**
 * How a cell's processes are confined. `confines` says whether they are: then each is started with a `Confinement`, a server listens on
 * `confinedServerPort`, and a command gets a confinement of its own, of the same kind.
 *
 * Handles are data: there is no registry in memory, and nothing to recover after a restart of the worker.
 * What a runtime cannot promise it refuses by name (`unsupported`), rather than ignore.
 */
export interface CellRuntime {
  readonly name: IsolationName;
  readonly confines: boolean;
  /** Request fields that this runtime cannot enforce, each with the reason. */
  readonly unsupported: Readonly<Partial<Record<EnforcedField, string>>>;
  /** Asked once when the worker starts. */
  probe(): Promise<Probe>;
  /** Starts a process that outlives the worker. When the signal aborts meanwhile, what was started is ended. */
  start(spec: ProcessSpec, signal: AbortSignal): Promise<RuntimeHandle>;
  /**
   * Runs a command to its end. Whatever it started is ended before this returns, also when the signal aborts it (then it throws the reason).
   * A run of the same `execId` that an earlier worker left behind is ended first.
   */
  exec(command: Command, signal: AbortSignal): Promise<ExecResult>;
  /** `exited` only where the exit code is known, which is in the worker process that started it; elsewhere a dead process is `gone`. */
  inspect(handle: RuntimeHandle): Promise<RuntimeStatus>;
  /** What a cell uses; null when nothing of it lives. */
  stats(cellId: string): Promise<RuntimeStats | null>;
  /**
   * Binds a port on loopback for a cell and keeps it until the cell is destroyed, so that no stranger can take it. Idempotent.
   * @throws PortTaken
   */
  holdPort(cellId: string, port: number): Promise<void>;
  /** From now on connections to the held port of a cell go to its server, which listens on `serverPort` where the cell runs. */
  relayPort(cellId: string, serverPort: number): Promise<void>;
  /**
   * Lets no process of the cell run until the answer is disposed of, so that nobody changes a file while the host has it in hand: between the
   * look at a path and its use, a directory becomes a link. A worker that dies meanwhile leaves them stopped; what pauses or ends the
   * cell next finds them so.
   */
  pause(cellId: string): Promise<AsyncDisposable>;
  /** Ends every process of the cell and gives its ports back, asking first and then insisting. Idempotent: already gone is success. Answers how many it ended. */
  destroy(cellId: string): Promise<number>;
  /** The ids of the cells of this host's state directory that still have processes, found by what marks them and not by a record. */
  list(): Promise<readonly string[]>;
  /** The cells of which something else is left that `destroy` removes, and no process: empty control groups. */
  listEmpty(): Promise<readonly string[]>;
}
