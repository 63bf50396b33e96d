import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

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
  const start = () => {
    const child = spawn(process.execPath, [script, ...words], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
      env: { NODE_OPTIONS: '--max-semi-space-size=1' },
    });
    child.stdin.on('error', () => undefined);
    child.once('exit', () => {
      if (!released) watchdog = start();
    });
    return child;
  };
  let watchdog = start();
  // Its line, or its end: then the next one is on its way.
  await once(watchdog.stdout, 'readable');
  return {
    release() {
      released = true;
      const ended = new Promise<void>((resolve) => watchdog.once('exit', () => resolve()));
      watchdog.stdin.end();
      return ended;
    },
  };
}
