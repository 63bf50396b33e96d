import type { IsolationName } from '../../../src/client.ts';

/**
 * What was seen of an attempt: it was of no use, it did what it set out to do, or it was not made. Where nothing of ours decides, it
 * depends on the kernel of the host.
 */
export type Verdict = 'refused' | 'succeeds' | 'not tried' | 'depends';

/** Something that a hostile agent tries. */
export interface Attempt {
  /** Of small letters and dashes. */
  name: string;
  /** What it tries, for the table. */
  tries: string;
  /** Whether the model has it done by OpenCode's own tool, or the test command of the repository does it. */
  through: 'agent' | 'test command';
  /** For bash. It ends with 0 only where it got what it wanted, and has `place`'s values as variables. */
  script: string;
  /**
   * Set where a script cannot know: when the host later ran what the script left, or what the script started is still there. Then
   * ending with 0 says no more than that the trap was laid.
   */
  judgedBy?: 'mark' | 'process' | 'commit';
  /** What is expected without confinement, for a worker that is root; and what makes it so. */
  process: readonly [Verdict, string];
  /** What keeps it from working in a cell that is confined. */
  confined: string;
}

export const runtimes = ['process', 'bubblewrap', 'docker'] as const satisfies IsolationName[];

/** What is to be seen of an attempt. */
export function expectedOf({ process }: Attempt, runtime: IsolationName): Verdict {
  return runtime === 'process' ? process[0] : 'refused';
}

/** How long an attempt may take, seconds; what waits for longer was not answered. */
const attemptSeconds = 40;

/**
 * The files of a repository whose attempts run one after the other by `sh attempts/agent.sh` and `sh attempts/test.sh`.
 *
 * @param variables what the scripts know of the host: more than an agent could find out
 * @param tried leaves out those that would leave the machine
 */
export function filesOf(
  attempts: readonly Attempt[],
  variables: Readonly<Record<string, string>>,
  tried: (attempt: Attempt) => boolean,
): Record<string, string> {
  const place = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`);
  const run = (through: Attempt['through']) =>
    attempts
      .filter((attempt) => attempt.through === through && tried(attempt))
      .map(({ name }) => `attempt ${name}\n`)
      .join('');
  const head = (report: string) =>
    `cd "$(dirname "$0")/.." && . attempts/place.sh
attempt() {
  timeout -k 1 ${attemptSeconds} bash "attempts/$1" > said.tmp 2>&1 < /dev/null
  echo "attempt $1 $?" ${report}
  sed 's/^/    /' said.tmp | head -c 1000 ${report}
  echo ${report}
}\n`;
  return {
    ...Object.fromEntries(attempts.map(({ name, script }) => [`attempts/${name}`, `${script.trim()}\n`])),
    'attempts/place.sh': place.join(''),
    'attempts/agent.sh': `${head('>> verdicts.txt')}${run('agent')}rm -f said.tmp\n`,
    'attempts/test.sh': `${head('')}${run('test command')}exit 0\n`,
  };
}

/** The codes with which attempts ended, by name, from what a run of them printed. */
export function codesIn(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^attempt (\S+) (\d+)$/gm)].map(([, name = '', code]) => [name, Number(code)]));
}

/** The timeout's own code, and those of a shell that did not find or could not run a command: of such an attempt nothing is known. */
export const broken: ReadonlySet<number> = new Set([126, 127]);
