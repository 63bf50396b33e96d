import { execa } from 'execa';

/** The commit that is measured; `-dirty` with changes that are not committed. */
export async function commitOf(): Promise<string> {
  const words = ['describe', '--always', '--dirty', '--abbrev=12', '--exclude', '*'];
  const { stdout } = await execa('git', words, { cwd: import.meta.dirname });
  return stdout;
}

/** Tells on standard error how far a run is, with the seconds since it began. */
export function progress(): (line: string) => void {
  const started = performance.now();
  return (line) => console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${line}`);
}
