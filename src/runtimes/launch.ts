import type { ProcessSpec } from './runtime.ts';

/** What is started for a process of a cell: the process itself, or what confines it and becomes it. */
export interface Launch {
  command: readonly [string, ...string[]];
  /** Where it is started. */
  directory: string;
  /** Directories of control groups that it joins before it runs. */
  groups: readonly string[];
  /** What it reads from the descriptors 3, 4, …, each to its end. */
  inputs: readonly (string | Uint8Array)[];
}

/** Starts the process as it is. */
export const launchPlain = ({ command, directory }: ProcessSpec): Launch => ({
  command,
  directory,
  groups: [],
  inputs: [],
});
