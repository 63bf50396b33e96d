import { DefaultLogger, type LogEntry } from '@temporalio/worker';
import type { Logger } from './log.ts';

/** What `Runtime.install({ logger })` takes: the SDK's lines go to our log, with their attributes, at their level. */
export function temporalLogger(logger: Logger): DefaultLogger {
  const ours = logger.child({ from: 'temporal' });
  return new DefaultLogger('TRACE', ({ level, message, meta }) => ours[methods[level]](meta ?? {}, message));
}

const methods = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
} as const satisfies Record<LogEntry['level'], string>;
