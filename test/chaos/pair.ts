import type { CellRequest, CellResult, Step } from '../../src/client.ts';
import type { HeldCell } from './held-cell.ts';
import type { Stage } from './stage.ts';

/** How a cell may end: a status, the type of a failure, or what was done to its workflow. */
export type Verdict = CellResult['status'] | (string & {});

/**
 * Where a cell stands when it is struck: held at a step, or just passing: `boot` is the start of its server within `spawn`,
 * `prompt` a request to the model within `execute`; `free` cells are not held at all, for what strikes them is in their request.
 */
export type Moment = Exclude<Step, 'queue'> | 'boot' | 'prompt' | 'free';

/** What a fleet is like that a fault needs; faults of one setting share a fleet. */
export type Setting = 'plain' | 'impatient' | 'small-disk' | 'shifted-clock' | 'soon-lost';

/** One fault at one step. */
export interface Pair {
  fault: string;
  /** `any` where it strikes whenever it does. */
  step: Exclude<Step, 'queue'> | 'any';
  /** Default: the step. */
  moment?: Moment;
  /** A script of `chaos.yaml`. Default: `works`, which needs two prompts at `repair`. */
  script?: string;
  request?: Partial<CellRequest>;
  /** What is done to the cell once it stands where it is to stand. */
  strike?: (cell: HeldCell, stage: Stage) => Promise<void>;
  /** What its script, and the fault, must lead to. */
  verdicts: readonly Verdict[];
  /** How often a turn of the model may have been answered in vain, since the server that asked died. Default 0. */
  turnsLost?: number;
  /** How often the cell may be made anew. Default 0. */
  respawns?: number;
  /** No step tears it down, but the reaper of its host, which looks once a minute. */
  reaped?: true;
  /** Refs beside the cell's own that are there afterwards, without the object; `<cellId>` stands for the cell's. */
  refs?: readonly string[];
  /** Files of the commit, by their content. Default: those of `works`. */
  files?: Readonly<Record<string, string>>;
}

/** A fault in all its places. */
export interface Fault {
  name: string;
  setting?: Setting;
  /** Strikes the whole host, when the cells of all its pairs stand where they are to stand. It has the host for itself. */
  strikeHost?: (stage: Stage, cells: readonly HeldCell[]) => Promise<void>;
  pairs: readonly Pair[];
  /** Why it cannot be tried on this machine; null where it can. */
  impossible?: () => Promise<string | null>;
}

/** The seven steps at which a cell can be struck. */
export const steps = ['spawn', 'execute', 'test', 'repair', 'commit', 'revert', 'teardown'] as const;

/** What becomes of a cell that is held at a step when nothing happens to it. */
const verdictAt = (step: Pair['step']): Verdict => (step === 'revert' ? 'reverted' : 'committed');

/** A pair for each step, at which the cell must come to the verdict of its script all the same. */
export function atEachStep(fault: string, more: (step: Pair['step']) => Partial<Pair> = () => ({})): Pair[] {
  return steps.map((step) => ({ fault, step, verdicts: [verdictAt(step)], ...more(step) }));
}

/** `fault@step`, and the moment within the step where it is another one. */
export const nameOf = ({ fault, step, moment }: Pair): string =>
  `${fault}@${moment === undefined || moment === 'free' ? step : `${step}/${moment}`}`;
