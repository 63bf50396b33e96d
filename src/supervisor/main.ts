import * as v from 'valibot';
import { launchSchema } from './protocol.ts';
import { runSupervisor } from './run.ts';

/** What the worker starts: `node main.ts <options as JSON>`. Ends with 0 when nobody needs it, or one runs already. */
const options = v.parse(launchSchema, JSON.parse(process.argv[2] ?? ''));

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());
try {
  await runSupervisor({ ...options, signal: interrupted.signal });
} catch (error) {
  if (!(error instanceof Error) || error.name !== 'SupervisorRunning') throw error;
}
// Nothing is left to do, and a question to an engine that hangs would keep this process for ever.
process.exit();
