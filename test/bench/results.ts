import type { IsolationName } from '../../src/domain/request.ts';
import type { Look } from './growth.ts';

/** How figures lie. */
export interface Distribution {
  p50: number;
  p95: number;
  least: number;
  most: number;
  count: number;
}

/** Seconds of processor time for one cell. */
export interface CellCost {
  /** The server, what the agent ran, the test command. */
  cell: number;
  worker: number;
  /** git, which the worker runs. */
  git: number;
  supervisor: number;
  temporal: number;
}

/** What every part says of the cells that it ran. */
export interface RunFigures {
  cells: number;
  /** Cells that are not committed, each as a line: there must be none. */
  unexpected: string[];
  /** What the host still held of a cell when all had ended, each as a line: there must be none. */
  leftovers: string[];
  wallSeconds: number;
  cost: CellCost;
  /** Milliseconds of each part of a cell's life, over all cells. */
  times: Readonly<Record<TimeName, Distribution>>;
  historyEvents: Distribution;
}

export const timeNames = ['queue', 'spawn', 'firstToken', 'execution', 'test', 'commit', 'teardown', 'total'] as const;
export type TimeName = (typeof timeNames)[number];

/** Memory of a moment, MiB of PSS. */
export interface MemorySample {
  /** Seconds since the start of the part. */
  at: number;
  alive: number;
  cells: number;
  worker: number;
  supervisor: number;
  temporal: number;
  /** By how much less the machine has available than before. */
  taken: number;
}

export interface HeldFigures extends RunFigures {
  /** Milliseconds for which a cell was held after its edit, until all had come that far. */
  held: Distribution;
  /** Milliseconds from the start of a cell to its verdict, without the time for which it was held. */
  verdict: Distribution;
  /** MiB of PSS of each cell at the moment when all were alive after their edit. */
  perCell: Distribution;
  /** MiB of PSS of all, at that moment. */
  together: { cells: number; worker: number; supervisor: number; temporal: number };
  /** The most that a server ever had resident, MiB. */
  peakResident: Distribution;
  /** The most of all samples, MiB: PSS of all cells, and what the machine had less. */
  peak: { cells: number; taken: number };
  samples: MemorySample[];
  machine: { swapUsed: number; swappedOut: number; killed: number; respawned: number };
}

export interface AtOnceFigures {
  size: number;
  /** One for each time that it was done. */
  runs: RunFigures[];
}

export interface SequenceFigures extends RunFigures {
  concurrency: number;
  /** What was held after so many cells. */
  growth: (Look & { cells: number })[];
  /** MiB by which the anonymous memory grows with a hundred cells, over the second half. */
  slope: { worker: number; supervisor: number };
}

export interface FloorFigures {
  /** Seconds for one round of the loop. */
  lean: { cpu: Distribution; wall: Distribution };
  plain: { cpu: Distribution; wall: Distribution };
}

export interface SpawnFigures {
  /** Of `opencode serve` alone, until it has proved to be well: milliseconds, and seconds of processor time. */
  bare: { wall: Distribution; cpu: Distribution };
  /** One cell at a time, each with a server of its own. */
  cold: SpawnedCells;
  /** One cell at a time, each with a server that was booted ahead. */
  warm: SpawnedCells;
  /** The same in `bubblewrap`; null where that cannot be used. */
  confined: SpawnedCells | null;
}

/** Milliseconds, as the results of cells say. */
export interface SpawnedCells {
  spawn: Distribution;
  teardown: Distribution;
}

/** Milliseconds from the sending of a request, over all streams. */
export interface WayFigures {
  firstToken: Distribution;
  /** To the end of the answer. */
  whole: Distribution;
}

export interface GatewayFigures {
  /** At the same time. */
  streams: number;
  rounds: number;
  /** In which an answer came, on average. */
  pieces: number;
  direct: WayFigures;
  /** Through the gateway, by a port. */
  loopback: WayFigures;
  /** Through the gateway, by a Unix socket. */
  socket: WayFigures;
  /** Seconds of the supervisor's processor time for one answer that it passes on. */
  cpuPerRequest: number;
}

/** One cell by itself. */
export interface RuntimeRun extends RunFigures {
  /** MiB of PSS of all of its processes, after its edit. */
  memory: number;
  /** Of that, MiB that are in no file: how much of the rest is a cell's depends on who else runs the same programs. */
  anonymous: number;
  /**
   * Seconds of processor time of all that ran in the cell, as its control group says; null where the host has none to count in.
   * `cost.cell` has only what ended in the arms of its parent, which of sandboxes and containers is little.
   */
  cellCpu: number | null;
  /** Seconds, of the Docker engine with all that it starts but the containers; null where there is none, or it is not counted. */
  engineCpu: number | null;
  /** MiB of PSS of the same, while the cell lives. */
  engineMemory: number | null;
}

export interface RuntimeFigures {
  /** Cells that ran one after the other. */
  runs: RuntimeRun[];
  /** Why there is none; null where there are. */
  missing: string | null;
}

export type RuntimesFigures = Record<IsolationName, RuntimeFigures>;

export interface BenchResults {
  /** When it began. */
  at: string;
  commit: string;
  command: string;
  machine: { cpus: number; cpuModel: string; memoryMiB: number; kernel: string };
  versions: { agentCells: string; node: string; opencode: string; temporal: string };
  parts: Partial<PartFigures>;
  /** What each part left on the machine, each as a line: there must be none. */
  left: Record<string, string[]>;
}

export interface PartFigures {
  held: HeldFigures;
  'at-once': AtOnceFigures[];
  sequence: SequenceFigures;
  floor: FloorFigures;
  spawn: SpawnFigures;
  gateway: GatewayFigures;
  runtimes: RuntimesFigures;
}
