import { readdir, readFile } from 'node:fs/promises';

/** A process as the kernel shows it. Those of other users, and zombies, are not seen. */
export interface RunningProcess {
  pid: number;
  parent: number;
  /** Its arguments, joined by spaces. */
  command: string;
  /** `NAME=value` strings as they were when the process began. */
  environment: readonly string[];
}

/** Every process whose environment carries the variable, with that value where one is given. */
export async function processesMarked(name: string, value?: string): Promise<RunningProcess[]> {
  const carries = (entry: string) =>
    value === undefined ? entry.startsWith(`${name}=`) : entry === `${name}=${value}`;
  return (await runningProcesses()).filter(({ environment }) => environment.some(carries));
}

export async function runningProcesses(): Promise<RunningProcess[]> {
  const entries = await readdir('/proc');
  const pids = entries.filter((entry) => /^\d+$/.test(entry)).map(Number);
  const processes = await Promise.all(pids.map(inspect));
  return processes.filter((found) => found !== null);
}

/** False for a zombie: it has ended, and nobody has asked how. */
export async function isRunning(pid: number): Promise<boolean> {
  return (await inspect(pid)) !== null;
}

async function inspect(pid: number): Promise<RunningProcess | null> {
  try {
    const [environment, command, stat] = await Promise.all(
      ['environ', 'cmdline', 'stat'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8')),
    );
    // The name in parentheses may itself hold spaces and parentheses: what counts comes after the last one.
    const [state, parent] = (stat ?? '').slice((stat ?? '').lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    return {
      pid,
      parent: Number(parent),
      command: strings(command).join(' '),
      environment: strings(environment),
    };
  } catch {
    return null;
  }
}

const strings = (text = ''): string[] => text.split('\0').filter((part) => part !== '');
