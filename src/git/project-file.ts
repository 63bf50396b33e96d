import { cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withRepositoryLock } from './repository-lock.ts';
import { adminDirectory, type WorktreePlace } from './worktree-paths.ts';

/**
 * OpenCode notes the id of a project in the git directory that it finds, which is the caller's. What is there is remembered
 * before a server starts, in the entry of the worktree: its bytes, or none where there is no such file.
 */
export async function rememberProjectFile(place: WorktreePlace): Promise<void> {
  await withRepositoryLock(place.gitDirectory, async () => {
    const memory = memoryIn(adminDirectory(place));
    if (await exists(memory)) return;
    // While another cell is at work here, the file may be its server's: then what that cell found is what was there.
    for (const source of [...(await otherMemories(place.gitDirectory)), projectFileOf(place)]) {
      if (await exists(source)) return await cp(source, memory, { preserveTimestamps: true });
    }
    await writeFile(memory, '');
  });
}

/** Puts back what was remembered. Idempotent. */
export async function restoreProjectFile(place: WorktreePlace): Promise<void> {
  await withRepositoryLock(place.gitDirectory, () => putBackProjectFile(place));
}

/** As `restoreProjectFile`, for a caller that has the lock of the repository. */
export async function putBackProjectFile(place: WorktreePlace): Promise<void> {
  const memory = memoryIn(adminDirectory(place));
  const remembered = await readFile(memory).catch(() => null);
  if (remembered === null) return;
  const file = projectFileOf(place);
  if (remembered.length === 0) await rm(file, { force: true });
  else await cp(memory, file, { preserveTimestamps: true });
}

const projectFileOf = ({ gitDirectory }: WorktreePlace): string => join(gitDirectory, 'opencode');

const memoryIn = (admin: string): string => join(admin, 'agent-cells-opencode');

async function otherMemories(gitDirectory: string): Promise<string[]> {
  const directory = join(gitDirectory, 'worktrees');
  return (await readdir(directory).catch(() => [])).map((entry) => memoryIn(join(directory, entry)));
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
