/**
 * Measures what cells cost, against baselines of the same run: `npm run bench`. docs/performance.md says what the figures mean.
 * What runs is ended in order on Ctrl-C, and nothing is left.
 */
import { benchOptions, benchUsage } from './options.ts';
import { UserError } from '../../src/domain/user-error.ts';
import { runBench } from './run-bench.ts';
import { abortAtSignals } from '../../src/cli/abort-at-signals.ts';

process.exitCode = await main(process.argv.slice(2), abortAtSignals('SIGINT', 'SIGTERM', 'SIGHUP'));

async function main(args: string[], signal: AbortSignal): Promise<number> {
  try {
    const options = benchOptions(args);
    if (!options.help) return await runBench(options, signal);
    console.log(benchUsage);
    return 0;
  } catch (error) {
    if (signal.aborted) {
      console.error('interrupted; everything was ended');
      return 130;
    }
    if (!(error instanceof UserError)) throw error;
    console.error(`${error.message}\n${error.try ?? ''}`);
    return 1;
  }
}
