import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { temporaryDirectory } from './temporary-directory.ts';

export interface TemporaryRepository extends AsyncDisposable {
  path: string;
  /** The first commit, at the tip of `main`. */
  commit: string;
  /** Runs git in the repository, untouched by the user's configuration, and answers its standard output. */
  git(...commandArguments: string[]): Promise<string>;
  /** Writes files, by path relative to the repository, without adding them. */
  write(files: Record<string, string>): Promise<void>;
}

/** A git repository on branch `main` with one commit; removed when its scope ends. */
export async function temporaryRepository(
  files: Record<string, string> = { 'README.md': '# A repository\n' },
): Promise<TemporaryRepository> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory());
  const { git, write } = repositoryAt(path);
  await git('init', '--quiet', '--initial-branch=main');
  await git('config', 'user.name', 'Test');
  await git('config', 'user.email', 'test@example.invalid');
  await git('config', 'commit.gpgsign', 'false');
  await write(files);
  await git('add', '--all');
  await git('commit', '--quiet', '--allow-empty', '--message', 'First commit');
  const commit = await git('rev-parse', 'HEAD');
  const owned = stack.move();
  return { path, commit, git, write, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A repository that is there already. */
export function repositoryAt(path: string): Pick<TemporaryRepository, 'path' | 'git' | 'write'> {
  return { path, git: gitIn(path), write: writeInto(path) };
}

function gitIn(path: string): TemporaryRepository['git'] {
  const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };
  return async (...commandArguments) => {
    const { stdout } = await execa('git', commandArguments, { cwd: path, env, stdin: 'ignore' });
    return stdout;
  };
}

function writeInto(root: string): TemporaryRepository['write'] {
  return async (files) => {
    for (const [name, content] of Object.entries(files)) {
      const file = join(root, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
  };
}
