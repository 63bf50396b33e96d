import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import waitFor from 'p-wait-for';
import { type RunningProcess, runningProcesses } from './processes.ts';
import { directoryPrefix, runMarker } from './run.ts';

/** Ends what a run that was broken off left on the machine: its processes, which are asked first, and its temporary directories. */
export async function endRun(run: string): Promise<void> {
  const ofRun = (entry: string) => entry === `${runMarker}=${run}` || entry.includes(`${directoryPrefix}${run}-`);
  const left = async () => (await runningProcesses()).filter(({ environment }) => environment.some(ofRun));
  signal(await left(), 'SIGTERM');
  await waitFor(async () => (await left()).length === 0, { interval: 200, timeout: 10_000 }).catch(() => undefined);
  signal(await left(), 'SIGKILL');
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(`${directoryPrefix}${run}-`));
  for (const name of names) await rm(join(tmpdir(), name), { recursive: true, force: true });
}

function signal(processes: readonly RunningProcess[], name: NodeJS.Signals): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended meanwhile.
    }
  }
}
