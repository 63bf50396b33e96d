import { setTimeout as delay } from 'node:timers/promises';
import { findOurs, send } from './end-processes.ts';
import { isAtRest, type ProcessEntry, waitsInKernel } from './processes.ts';

/** Between two scans, milliseconds. */
const betweenScansMs = 5;
/** A process that does not stop within this time, milliseconds, hangs in the kernel, or is woken by something. */
const atRestWithinMs = 10_000;

/**
 * Stops every process for which `isOurs` holds, and every descendant of one, until the answer is disposed of: the way where there are no
 * control groups. They are looked for until two scans in a row find none that runs, since one that runs may fork.
 *
 * A process can arrange to be woken, by a timer of its own say: against that only the kernel's freezer helps.
 *
 * @throws when they do not stop
 */
export async function stopProcesses(isOurs: (process: ProcessEntry) => boolean): Promise<AsyncDisposable> {
  const known = new Set<string>();
  const deadline = performance.now() + atRestWithinMs;
  let ours: ProcessEntry[] = [];
  const goOn = () => ours.forEach((process) => send('SIGCONT', process));
  for (let quiet = 0; quiet < 2;) {
    ours = await findOurs(isOurs, known, 'SIGSTOP');
    const moving = ours.filter((process) => !isAtRest(process));
    quiet = moving.length === 0 ? quiet + 1 : 0;
    if (moving.length > 0 && performance.now() > deadline) {
      goOn();
      throw new Error(`processes do not stop: ${moving.map((process) => process.pid).join(', ')}`);
    }
    for (const process of moving) send('SIGSTOP', process);
    // Who called `vfork` comes to rest once its child is another program, which that cannot become while it is stopped.
    const waiting = new Set(moving.filter(waitsInKernel).map(({ pid }) => pid));
    for (const process of ours) if (waiting.has(process.parent)) send('SIGCONT', process);
    if (quiet < 2) await delay(betweenScansMs);
  }
  return { [Symbol.asyncDispose]: () => Promise.resolve(goOn()) };
}
