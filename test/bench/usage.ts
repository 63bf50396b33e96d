import { execFileSync } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';

/** Processor time, seconds: of a process itself, and of the children that it has waited for, with theirs. */
export interface CpuTime {
  own: number;
  children: number;
}

/** Memory of a process, MiB. */
export interface Memory {
  /** Its share: what is mapped by several is divided among them. The sum over processes is what they take together. */
  pss: number;
  /** Of that, what is in no file, and so can be shared with nobody that it did not fork. */
  anonymous: number;
  rss: number;
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Null when there is no such process. */
export async function cpuOf(pid: number): Promise<CpuTime | null> {
  const text = await readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const seconds = (from: number) => (Number(fields[from]) + Number(fields[from + 1])) / ticksPerSecond;
  return { own: seconds(11), children: seconds(13) };
}

/** Null when there is no such process, or it is a zombie. Costs the kernel a walk over its pages: not to be asked often. */
export async function memoryOf(pid: number): Promise<Memory | null> {
  const text = await readOrNull(`/proc/${pid}/smaps_rollup`);
  if (text === null || !text.includes('Pss:')) return null;
  return { pss: mebibytes(text, 'Pss'), anonymous: mebibytes(text, 'Anonymous'), rss: mebibytes(text, 'Rss') };
}

/** The most that a process ever had resident, MiB. */
export async function peakOf(pid: number): Promise<number | null> {
  const text = await readOrNull(`/proc/${pid}/status`);
  return text === null ? null : mebibytes(text, 'VmHWM');
}

/** Open file descriptors of a process. */
export async function descriptorsOf(pid: number): Promise<number | null> {
  return await readdir(`/proc/${pid}/fd`).then(
    (names) => names.length,
    () => null,
  );
}

/** What the machine as a whole says of its memory: MiB, and counts since boot. */
export interface MachineMemory {
  total: number;
  available: number;
  swapUsed: number;
  /** Pages that were ever written to swap. */
  swappedOut: number;
  /** Processes that the kernel has killed for want of memory. */
  killed: number;
}

export async function machineMemory(): Promise<MachineMemory> {
  const [memory, counts] = await Promise.all(['/proc/meminfo', '/proc/vmstat'].map((file) => readFile(file, 'utf8')));
  const count = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(counts ?? '')?.[1] ?? 0);
  return {
    total: mebibytes(memory ?? '', 'MemTotal'),
    available: mebibytes(memory ?? '', 'MemAvailable'),
    swapUsed: mebibytes(memory ?? '', 'SwapTotal') - mebibytes(memory ?? '', 'SwapFree'),
    swappedOut: count('pswpout'),
    killed: count('oom_kill'),
  };
}

const mebibytes = (text: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) / 1024;

const readOrNull = (file: string): Promise<string | null> => readFile(file, 'utf8').catch(() => null);
