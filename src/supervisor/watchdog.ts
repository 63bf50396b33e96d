import { endOwner } from '../runtimes/end-owner.ts';
import { acquireWatchdogLock } from './lock.ts';

/**
 * The lifeline: a process that does nothing but wait for the end of its standard input, which the supervisor holds open.
 * When the supervisor ends, in whatever way, the kernel closes it; then every process of its cells is ended at once.
 * It says by a line that it is on its post.
 *
 * Run as `node watchdog.ts <owner> <directory of the control groups, or nothing> [directories of groups that only limit]`.
 */
const [owner, groupRoot = '', ...limitRoots] = process.argv.slice(2);
if (owner === undefined) throw new Error('usage: watchdog <owner> <directory of the control groups> [of limits]');

// What is sent to the terminal's process group is for the supervisor to obey: this one ends after it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
await acquireWatchdogLock(owner);
process.stdout.write('watching\n');
for await (const _ of process.stdin);
await endOwner(owner, groupRoot === '' ? null : groupRoot, limitRoots);
