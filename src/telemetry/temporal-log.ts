import { DefaultLogger, type LogEntry } from '@temporalio/worker';
import type { Logger } from './log.ts';

/**
 * What `Runtime.install({ logger })` takes: the SDK's lines go to our log, with their attributes. What the SDK finds worth
 * saying of itself is of interest only to who looks for a fault, so it is one level quieter here.
 */
export function temporalLogger(logger: Logger): DefaultLogger {
  const ours = logger.child({ from: 'temporal' });
  return new DefaultLogger('TRACE', ({ level, message, meta }) =>
    ours[expected.test(message) ? 'debug' : methods[level]](meta ?? {}, message),
  );
}

const methods = {
  TRACE: 'trace',
  DEBUG: 'trace',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
} as const satisfies Record<LogEntry['level'], string>;

/** Warnings about what is so by design: queues have workers of their own, and a cell without a verdict fails its workflow. */
const expected = /^(No (activities|workflows) registered|Workflow failed)/;
