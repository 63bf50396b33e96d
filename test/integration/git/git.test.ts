import { chmod, glob, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { git, gitBytes, GitFailed, GitWroteTooMuch } from '../../../src/git/git.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';

afterEach(() => vi.unstubAllEnvs());

/** A program called git, first on the PATH, that shows with what it was called unless it is to do something else. */
async function showingGit(script = 'printf "%s\\n" "$@"\necho --\nenv\n') {
  const directory = await temporaryDirectory();
  await writeFile(join(directory.path, 'git'), `#!/bin/sh\n${script}`);
  await chmod(join(directory.path, 'git'), 0o755);
  vi.stubEnv('PATH', `${directory.path}:/usr/bin:/bin`);
  return directory;
}

describe('the way git is called', () => {
  test('names the directories and the index, and lets every setting through', async () => {
    await using shown = await showingGit();
    const place = { gitDirectory: '/tmp', workTree: shown.path, indexFile: '/tmp/an-index' };
    const args = await git(['status', '--', '-rf'], place, { config: ['a.b=c'] });
    expect(args).toContain('--git-dir=/tmp\n');
    expect(args).toContain(`--work-tree=${shown.path}\n`);
    expect(args).toContain('-c\ncore.hooksPath=/dev/null\n-c\ncore.fsmonitor=false\n-c\ncore.pager=cat\n');
    for (const setting of [
      'commit.gpgSign=false',
      'gc.auto=0',
      'maintenance.auto=false',
      'diff.ignoreSubmodules=all',
      'submodule.recurse=false',
      'protocol.allow=never',
      'credential.helper=',
      'a.b=c',
    ]) {
      expect(args).toContain(`-c\n${setting}\n`);
    }
    expect(args).toContain('\nstatus\n--\n-rf\n');
  });

  test('hands over nothing of the environment but the PATH', async () => {
    await using shown = await showingGit();
    vi.stubEnv('GIT_DIR', '/nowhere');
    vi.stubEnv('GIT_CONFIG_COUNT', '1');
    vi.stubEnv('EDITOR', 'vi');
    vi.stubEnv('SOME_SECRET', 'secret');
    vi.stubEnv('HOME', '/root');
    const output = await git(['status'], { gitDirectory: '/tmp', workTree: shown.path, indexFile: '/tmp/an-index' });
    const names = output
      .split('\n')
      .filter((line) => /^[A-Z_]+=/.test(line))
      .map((line) => line.slice(0, line.indexOf('=')));
    // The shell that runs the script adds PWD and the like.
    expect(names.filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name)).sort()).toEqual([
      'GIT_ATTR_NOSYSTEM',
      'GIT_AUTHOR_EMAIL',
      'GIT_AUTHOR_NAME',
      'GIT_CEILING_DIRECTORIES',
      'GIT_COMMITTER_EMAIL',
      'GIT_COMMITTER_NAME',
      'GIT_CONFIG_GLOBAL',
      'GIT_CONFIG_NOSYSTEM',
      'GIT_GRAFT_FILE',
      'GIT_INDEX_FILE',
      'GIT_LITERAL_PATHSPECS',
      'GIT_NO_LAZY_FETCH',
      'GIT_NO_REPLACE_OBJECTS',
      'GIT_OPTIONAL_LOCKS',
      'GIT_TERMINAL_PROMPT',
      'GIT_TEST_DISALLOW_ABBREVIATED_OPTIONS',
      'LC_ALL',
      'PATH',
    ]);
    expect(output).toContain('GIT_CONFIG_GLOBAL=/dev/null\n');
    expect(output).toContain('GIT_INDEX_FILE=/tmp/an-index\n');
  });

  test('reaches the real git: its settings win over those of the repository', async () => {
    await using repository = await temporaryRepository();
    await repository.git('config', 'core.hooksPath', '/tmp/hooks');
    await repository.git('config', 'core.fsmonitor', '/tmp/monitor');
    const place = { gitDirectory: join(repository.path, '.git') };
    expect(await git(['config', '--get', 'core.hooksPath'], place)).toBe('/dev/null\n');
    expect(await git(['config', '--get', 'core.fsmonitor'], place)).toBe('false\n');
    expect(await git(['var', 'GIT_COMMITTER_IDENT'], place)).toMatch(/^agent-cells <agent-cells@localhost> /);
  });

  test('fails with what git said and its exit code, also when git says nothing', async () => {
    await using repository = await temporaryRepository();
    const place = { gitDirectory: join(repository.path, '.git') };
    const loud = await git(['rev-parse', '--verify', 'nothing'], place).catch((error: unknown) => error);
    expect(loud).toBeInstanceOf(GitFailed);
    expect(loud).toMatchObject({ exitCode: 128, message: expect.stringContaining('Needed a single revision') });
    const silent = await git(['rev-parse', '--verify', '--quiet', 'nothing'], place).catch((error: unknown) => error);
    expect(silent).toMatchObject({ exitCode: 1, message: expect.stringContaining('ended with 1') });
  });

  test('takes input, and gives back the very bytes', async () => {
    await using repository = await temporaryRepository();
    const place = { gitDirectory: join(repository.path, '.git') };
    const bytes = Buffer.from([0xff, 0x00, 0x0a, 0xfe]);
    const id = (await git(['hash-object', '-w', '--stdin'], place, { input: bytes })).trim();
    expect(await gitBytes(['cat-file', 'blob', id], place)).toEqual(bytes);
  });

  test.each(['', ' >&2'])('ends git when it has written more than it may: echo%s', async (where) => {
    // Left alone it would write for half a minute.
    await using shown = await showingGit(`for i in $(seq 300); do echo "$i"${where}; sleep 0.1; done\n`);
    const written = git(['ls-files'], { gitDirectory: shown.path }, { mostBytes: 10 });
    await expect(written).rejects.toThrow(GitWroteTooMuch);
    await expect(written).rejects.toThrow('git ls-files wrote more than 10 bytes, and was ended');
  });

  test('ends git when the signal is aborted, with its reason', async () => {
    await using repository = await temporaryRepository();
    const place = { gitDirectory: join(repository.path, '.git') };
    const reason = new Error('the cell is cancelled');
    await expect(git(['version'], place, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    // It waits for its input, which does not come.
    const waiting = git(['cat-file', '--batch'], place, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(waiting).rejects.toBe(reason);
  });
});

test('nothing goes around the one place where git is called, but to ask for its version', async () => {
  const around = /from 'simple-git'|\b(?:execa|spawn|exec|execFile)\w*\(\s*'git'(?!, \['--version'\])/;
  const offenders: string[] = [];
  for await (const file of glob(['src/**/*.ts', 'activities/**/*.ts', 'workflows/**/*.ts', 'bin/**/*.mjs'])) {
    if (file !== join('src', 'git', 'run-git.ts') && around.test(await readFile(file, 'utf8'))) offenders.push(file);
  }
  expect(offenders).toEqual([]);
});
