export const lifecycles = [
  'created',
  'initialising',
  'ready',
  'processing',
  'error',
  'recovering',
  'failed',
  'terminating',
  'terminated',
] as const;

/** Where a cell stands in its life. */
export type Lifecycle = (typeof lifecycles)[number];

export const steps = ['queue', 'spawn', 'execute', 'test', 'repair', 'commit', 'revert', 'teardown'] as const;

/** What is being done for a cell. */
export type Step = (typeof steps)[number];

/** One change of lifecycle or step; `at` in milliseconds since the epoch. */
export interface Transition {
  lifecycle: Lifecycle;
  step: Step;
  at: number;
  /** Why, in a sentence; only where it is not the ordinary course of things. */
  reason?: string;
}

/** Enough for every transition of a cell with the most repairs that a request may ask for. */
const historyLimit = 100;

/** Adds the next transition. Where there are too many, one from the middle goes: how a cell began and where it stands is seen. */
export function addTransition(history: Transition[], next: Transition): void {
  if (history.length >= historyLimit) history.splice(historyLimit / 2, 1);
  history.push(next);
}

const successors: Record<Lifecycle, readonly Lifecycle[]> = {
  created: ['initialising', 'terminating'],
  initialising: ['ready', 'error', 'failed', 'terminating'],
  ready: ['processing', 'error', 'terminating'],
  processing: ['ready', 'error', 'terminating'],
  error: ['recovering', 'failed', 'terminating'],
  recovering: ['ready', 'failed', 'terminating'],
  failed: ['terminating'],
  terminating: ['terminated'],
  terminated: [],
};

/** Whether a cell may go from one lifecycle to the other; staying is always allowed. */
export function mayFollow(from: Lifecycle, to: Lifecycle): boolean {
  return from === to || successors[from].includes(to);
}
