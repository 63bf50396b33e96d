import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { runningProcesses } from '../support/processes.ts';
import { directoryPrefix, runMarker, testRun } from '../support/run.ts';
import { waitUntil } from '../support/wait-until.ts';

/**
 * What is on the machine because of this run, each as a line: processes that name the run or one of its directories in
 * their environment, and the directories. What others do here meanwhile is not its business.
 */
export async function tracesOfThisRun(): Promise<string[]> {
  return [...(await processes()), ...(await directories())];
}

/** What there is of this run that was not in use before, after ten seconds for what is just ending. */
export async function leftByThisRun(inUse: readonly string[] = []): Promise<string[]> {
  let left: string[] = [];
  const nothing = async () => {
    left = (await tracesOfThisRun()).filter((line) => !inUse.includes(line));
    return left.length === 0;
  };
  await waitUntil(nothing, 10_000).catch(() => undefined);
  return left;
}

const prefix = (): string => `${directoryPrefix}${testRun()}-`;

async function processes(): Promise<string[]> {
  const marks = [`${runMarker}=${testRun()}`, prefix()];
  const ours = (await runningProcesses()).filter(
    ({ pid, environment }) =>
      pid !== process.pid && environment.some((entry) => marks.some((mark) => entry.includes(mark))),
  );
  return ours.map(({ pid, command }) => `process ${pid}: ${command.slice(0, 200)}`);
}

async function directories(): Promise<string[]> {
  const names = await readdir(tmpdir());
  return names.filter((name) => name.startsWith(prefix())).map((name) => `directory ${tmpdir()}/${name}`);
}
