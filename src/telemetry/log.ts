import { pino, type DestinationStream, type Logger } from 'pino';
import { build as pretty } from 'pino-pretty';
import type { LogLevel } from '../config.ts';
import { fields } from './loggable.ts';

export type { Logger };

export interface LogOptions {
  level: LogLevel;
  /** Null for `pretty` on a terminal and `json` elsewhere. */
  format: 'pretty' | 'json' | null;
  /** Values that must never be written, wherever they turn up. */
  secrets?: readonly string[];
  /** Default: standard error, so that standard output carries data alone. */
  destination?: DestinationStream;
}

const hidden = '[hidden]';
const secretFields = ['password', 'secret', 'apiKey', 'authorization', 'Authorization', 'env', 'headers'];

/** A logger that hides secrets by the names of their fields and by their values. */
export function createLogger({
  level,
  format,
  secrets = [],
  destination = pino.destination({ dest: 2, sync: true }),
}: LogOptions): Logger {
  const asText = (format ?? (process.stderr.isTTY ? 'pretty' : 'json')) === 'pretty';
  const hide = hideValues(secrets);
  return pino(
    {
      level,
      base: null,
      formatters: { log: (line) => fields(line) },
      serializers: { err: (error: unknown) => error },
      redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: hidden },
      hooks: { streamWrite: hide },
    },
    asText ? pretty({ destination, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname', sync: true }) : destination,
  );
}

/** Short values are left alone: hiding every "a" would hide the log. */
function hideValues(secrets: readonly string[]): (line: string) => string {
  const values = secrets.filter((value) => value.length >= 8).map((value) => JSON.stringify(value).slice(1, -1));
  return (line) => values.reduce((text, value) => text.replaceAll(value, hidden), line);
}
