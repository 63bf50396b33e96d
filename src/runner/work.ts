/** Something that takes a program: what it is given and answers is data, so that another process can do it. */
export interface Work<Input, Output> {
  name: string;
  run(input: Input, signal: AbortSignal | undefined): Promise<Output>;
}

/** What a runner is told. */
export type Order = { id: number; work: string; input: unknown } | { abort: number };

/** What a runner answers. */
export type Answer = { id: number; output: unknown } | { id: number; failed: string };
