import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Answer, Order, Work } from './work.ts';

interface Waiting {
  resolve(output: unknown): void;
  reject(error: Error): void;
}

/** Who does the works of this process; itself while there is none. */
let runner: Runner | null = null;

/**
 * Starts a small process that does the works of this one from now on. A large process takes tens of milliseconds to start a program, in which
 * it does nothing else: the kernel copies the tables of all of its memory. One that ends is started again with the next work.
 * Disposing of it ends it; it ends by itself when this process does.
 *
 * @param main the file that it runs, which calls `serveWorks`
 */
export function startRunner(main: string): AsyncDisposable {
  const started = new Runner(main);
  runner = started;
  return {
    async [Symbol.asyncDispose]() {
      if (runner === started) runner = null;
      await started.end();
    },
  };
}

/** Does a work, in the runner where there is one. @throws the reason of the signal when that aborts; the work has ended then */
export async function perform<Input, Output>(
  work: Work<Input, Output>,
  input: Input,
  signal: AbortSignal | undefined,
): Promise<Output> {
  signal?.throwIfAborted();
  if (runner === null) return await work.run(input, signal);
  // Its main serves the very same works.
  return (await runner.perform(work.name, input, signal)) as Output;
}

class Runner {
  readonly #main: string;
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | null = null;
  #last = 0;

  constructor(main: string) {
    this.#main = main;
  }

  async perform(work: string, input: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    const id = (this.#last += 1);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    const abort = () => this.#tell({ abort: id });
    signal?.addEventListener('abort', abort, { once: true });
    try {
      this.#tell({ id, work, input });
      return await promise;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#waiting.delete(id);
    }
  }

  async end(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const ended = once(child, 'exit');
    // One that has just died has let go by itself.
    if (child.connected) child.disconnect();
    await ended;
  }

  #tell(order: Order): void {
    this.#child ??= this.#start();
    // What it cannot be told, it has ended before: then all that waits is rejected.
    this.#child.send(order, () => undefined);
  }

  #start(): ChildProcess {
    const child = fork(this.#main, {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: ['--max-semi-space-size=1'],
    });
    child.on('message', (answer) => this.#hear(answer as Answer)); // sent by `serveWorks`
    const gone = (why: string) => {
      if (this.#child !== child) return;
      this.#child = null;
      for (const { reject } of this.#waiting.values()) reject(new Error(`the process that runs programs ${why}`));
    };
    child.once('error', (error) => gone(`failed: ${error.message}`));
    child.once('exit', (code, signal) => gone(`ended with ${code ?? signal}`));
    return child;
  }

  #hear(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if ('failed' in answer) waiting?.reject(new Error(answer.failed));
    else waiting?.resolve(answer.output);
  }
}
