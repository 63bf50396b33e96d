import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A watchdog that is kept running for as long as this process runs. */
export interface Lifeline {
  /** Lets go of the watchdog, which then ends what is left of the cells, and itself. */
  release(): Promise<void>;
}

/** Starts the watchdog of an owner's cells. One that dies is replaced at once. */
export function holdLifeline(owner: string, groupRoot: string | null): Lifeline {
  const words = groupRoot === null ? [owner] : [owner, groupRoot];
  let released = false;
  let watchdog: ChildProcess;
  const start = () => {
    watchdog = spawn(
      process.execPath,
      [fileURLToPath(new URL(`./watchdog${extname(import.meta.url)}`, import.meta.url)), ...words],
      {
        stdio: ['pipe', 'ignore', 'inherit'],
        detached: true,
        env: { NODE_OPTIONS: '--max-semi-space-size=1' },
      },
    );
    watchdog.stdin?.on('error', () => undefined);
    watchdog.once('exit', () => {
      if (!released) start();
    });
  };
  start();
  return {
    release() {
      released = true;
      const ended = new Promise<void>((resolve) => watchdog.once('exit', () => resolve()));
      watchdog.stdin?.end();
      return ended;
    },
  };
}
