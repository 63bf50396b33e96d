/**
 * The worker of the demo: `cells worker`, which ends with the demo, in whatever way that ends. The demo holds the other end of
 * the standard input; the supervisor ends with the last of those who are attached to it, and takes the cells along.
 */
import { createCli } from '../../src/cli/cli.ts';
import { hostLog } from '../../src/cli/host-log.ts';
import { runWorker } from '../../src/worker.ts';

process.stdin
  .resume()
  .once('close', () => process.kill(process.pid, 'SIGKILL'))
  .unref();

const cli = createCli(process);
const config = cli.config();
const log = hostLog(config);
const ready = (worker: { hostId: string; metricsUrl: string }) => log.info(worker, 'the worker serves cells');
await runWorker(config, { log, signal: cli.interruption(), endsWithWorkers: true, ready });
