import { runSupervisor } from './run.ts';

/** What the worker starts: `node main.ts <state directory> [idle milliseconds]`. Ends with 0 when nobody needs it, or one runs already. */
const [stateDirectory, idle] = process.argv.slice(2);
if (stateDirectory === undefined) throw new Error('usage: supervisor <state directory> [idle milliseconds]');

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
try {
  await runSupervisor({
    stateDirectory,
    signal: interrupted.signal,
    ...(idle === undefined ? {} : { idleMs: Number(idle) }),
  });
} catch (error) {
  if (!(error instanceof Error) || error.name !== 'SupervisorRunning') throw error;
}
