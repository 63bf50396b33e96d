import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Runs the command `cells` to its end, whatever its exit code. */
export async function cells(
  env: Record<string, string>,
  ...commandArguments: string[]
): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }> {
  const { exitCode, stdout, stderr } = await startAlone(env, commandArguments, { timeout: 60_000 });
  return { exitCode, stdout, stderr };
}

/** Starts the command without the script around it, which keeps some signals to itself. */
export function startAlone(
  env: Record<string, string>,
  commandArguments: readonly string[],
  options: { timeout?: number } = {},
) {
  return execa(process.execPath, [main, ...commandArguments], {
    env,
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
    ...options,
  });
}

/** The command, as a file for Node. */
export const cellsScript = fileURLToPath(new URL('../../bin/cells.mjs', import.meta.url));

/** Starts the command as a user has it, by its script. Its standard input is empty unless there is an `input`. */
export function startCells(
  env: Record<string, string>,
  commandArguments: readonly string[],
  options: { input?: string; cwd?: string; uid?: number; gid?: number } = {},
) {
  return execa(process.execPath, [cellsScript, ...commandArguments], {
    env,
    extendEnv: false,
    input: '',
    reject: false,
    ...options,
  });
}
