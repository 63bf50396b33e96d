import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Before one that could not be started, or ended at once, is started again, milliseconds. */
const pauseMs = 1_000;

/** A watchdog that is kept running for as long as this process runs. */
export interface Lifeline {
  /** Lets go of the watchdog, which then ends what is left of the cells, and itself. */
  release(): Promise<void>;
}

/** Starts the watchdog of an owner's cells, and answers when it is on its post. One that dies is replaced at once. The roots are those of `endOwner`. */
export async function holdLifeline(
  owner: string,
  groupRoot: string | null,
  limitRoots: readonly string[],
): Promise<Lifeline> {
  const words = [owner, groupRoot ?? '', ...limitRoots];
  let released = false;
  const script = fileURLToPath(new URL(`./watchdog${extname(import.meta.url)}`, import.meta.url));
  const again = () => {
    if (released) return;
    try {
      watchdog = start();
    } catch {
      // Without memory there is not even a child.
      later();
    }
  };
  const later = () => void setTimeout(again, pauseMs).unref();
  const start = () => {
    const child = spawn(process.execPath, [script, ...words], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
      env: { NODE_OPTIONS: '--max-semi-space-size=1' },
    });
    // Without a free descriptor there are no pipes.
    child.stdin?.on('error', () => undefined);
    const startedAt = performance.now();
    child.once('exit', () => (performance.now() - startedAt > pauseMs ? again() : later()));
    // An error that nobody hears would end this process, with nobody to watch over its cells.
    child.once('error', later);
    return child;
  };
  let watchdog = start();
  await once(watchdog, 'spawn');
  // Its line, or its end: then the next one is on its way.
  await once(watchdog.stdout, 'readable');
  return {
    release() {
      released = true;
      const last = hasEnded(watchdog) ? start() : watchdog;
      const ended = new Promise<void>((resolve) => last.once('exit', () => resolve()).once('error', () => resolve()));
      last.stdin?.end();
      return ended;
    },
  };
}

const hasEnded = ({ pid, exitCode, signalCode }: ChildProcess): boolean =>
  pid === undefined || exitCode !== null || signalCode !== null;
