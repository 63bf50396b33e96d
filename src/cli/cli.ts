import type { Readable } from 'node:stream';
import type { WriteStream } from 'node:tty';
import pc from 'picocolors';
import { readConfig, type Config } from '../config.ts';
import type { TemporalConnection } from '../temporal/connection.ts';
import { abortAtSignals } from './abort-at-signals.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';

export type Colors = ReturnType<typeof pc.createColors>;

/** A stream that may be a terminal. */
export type Output = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>;

export interface Streams {
  stdin: Readable & { isTTY?: boolean };
  stdout: Output;
  stderr: Output;
}

/** What a command has to do with: streams, settings, the server, and the way out. */
export interface Cli extends Streams {
  /** Colours of standard output, and of standard error. */
  colors: Colors;
  noteColors: Colors;
  /** Writes data to standard output. */
  print(text: string): void;
  /** Writes a remark to standard error. */
  note(text: string): void;
  config(): Config;
  connect(): Promise<TemporalConnection>;
  /**
   * Aborts at the first Ctrl-C or SIGTERM; from then on the signals have their usual effect, so a second one ends the process.
   * Asked for by commands that have something to bring to an end.
   */
  interruption(): AbortSignal;
  exit(code: ExitCode): void;
  /** What `exit` was called with last. */
  exitCode(): ExitCode;
}

/** Makes the surroundings of one run of the command. */
export function createCli(streams: Streams): Cli {
  const once = <T>(make: () => T): (() => T) => {
    let made: { value: T } | null = null;
    return () => (made ??= { value: make() }).value;
  };
  let code: ExitCode = exitCodes.ok;
  const config = once(() => readConfig());
  return {
    ...streams,
    colors: colorsOf(streams.stdout),
    noteColors: colorsOf(streams.stderr),
    print: (text) => void streams.stdout.write(`${text}\n`),
    note: (text) => void streams.stderr.write(`${text}\n`),
    config,
    async connect() {
      const { connectTemporal, temporalTarget } = await import('../temporal/connection.ts');
      return await connectTemporal(temporalTarget(config().temporal));
    },
    interruption: once(() => abortAtSignals('SIGINT', 'SIGTERM')),
    exit: (value) => void (code = value),
    exitCode: () => code,
  };
}

/** Colours where the stream is a terminal and the user has not said otherwise (NO_COLOR, FORCE_COLOR). */
const colorsOf = (stream: Output): Colors => pc.createColors(stream.isTTY === true && pc.isColorSupported);
