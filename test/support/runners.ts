import { type RunningProcess, runningProcesses } from './processes.ts';

/** The small processes that start programs for another: a worker has one. */
export async function runnersOf(user: number): Promise<RunningProcess[]> {
  return (await runningProcesses()).filter(({ command, parent }) => parent === user && command.includes('runner-main'));
}
