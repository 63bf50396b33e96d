import { execa } from 'execa';
import { perform } from './runner.ts';
import type { Work } from './work.ts';

export interface Program {
  command: readonly [string, ...string[]];
  /** Default: no limit, milliseconds. */
  timeoutMs?: number;
}

export interface Ended {
  /** Null when a signal ended it, or its timeout, or it could not be started. */
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a short program to its end, in the language of no user. Answers also where it fails. */
export const runProgram = (program: Program, signal?: AbortSignal): Promise<Ended> =>
  perform(programWork, program, signal);

export const programWork: Work<Program, Ended> = {
  name: 'program',
  async run({ command: [file, ...words], timeoutMs = 0 }, signal) {
    const { exitCode, stdout, stderr, originalMessage } = await execa(file, words, {
      reject: false,
      timeout: timeoutMs,
      env: { LC_ALL: 'C' },
      stdin: 'ignore',
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    signal?.throwIfAborted();
    return { exitCode: exitCode ?? null, stdout, stderr: stderr === '' ? (originalMessage ?? '') : stderr };
  },
};
