import { runProgram } from '../runner/run-program.ts';

/** User ids of cells begin here: no user of a host has one that is so large. */
const first = 2 ** 30;

/**
 * The user, and the group of the same number, that a confined cell runs as where the worker is root: told by the first 29 bits of
 * what its processes are marked by, so that nothing has to be remembered. Null where the worker is not root: then it is the worker's own.
 */
export function cellUser(mark: string): number | null {
  if (process.getuid?.() !== 0) return null;
  return first + (Number.parseInt(mark.slice(0, 8), 16) >>> 3);
}

/** Makes a confined cell the owner of these files and directories, with all that is in them; links are not followed. Idempotent. */
export async function giveToCell(mark: string, paths: readonly string[]): Promise<void> {
  const user = cellUser(mark);
  if (user === null || paths.length === 0) return;
  const command = ['chown', '-R', '-P', '-h', `${user}:${user}`, '--', ...paths] as const;
  const { exitCode, stderr } = await runProgram({ command });
  if (exitCode !== 0) throw new Error(`files cannot be given to user ${user}: ${stderr}`);
}
