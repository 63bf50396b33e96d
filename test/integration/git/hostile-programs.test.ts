import { chmod, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { arm, evilRepository, type HostileCell, hostileCell, runHostSteps } from './hostile-host.ts';

const asked = { '.gitattributes': '* filter=x diff=x merge=x\n', 'a.txt': 'changed\n', 'new.txt': 'new\n' };
const expected = ['added .gitattributes', 'added new.txt', 'modified a.txt'];

const evilDotGit: readonly (readonly [string, (cell: HostileCell, evil: string) => Promise<unknown>])[] = [
  ['a file that names another repository', (cell, evil) => writeFile(cell.at('.git'), `gitdir: ${evil}\n`)],
  ['a link to another repository', (cell, evil) => symlink(evil, cell.at('.git'))],
  ['a repository', (cell, evil) => cp(evil, cell.at('.git'), { recursive: true })],
  ['a pipe', (cell) => execa('mkfifo', [cell.at('.git')])],
  ['nothing', () => Promise.resolve()],
];

describe('the host runs nothing of what an agent left', () => {
  test.each(evilDotGit)('in the place of .git: %s', async (what, replace) => {
    await using cell = await hostileCell();
    const evil = await evilRepository(cell);
    await rm(cell.at('.git'));
    await replace(cell, evil);
    await cell.plant(asked);
    if (!/pipe|nothing/.test(what)) {
      // The trap works: git that looks for its directory falls into it.
      await cell.repository.git('-C', cell.worktree, 'status').catch(() => 'the canary is no real filter');
      expect(await cell.marks()).not.toBe('');
      await rm(join(cell.directory, 'ran'));
    }
    expect((await runHostSteps(cell)).changes).toEqual(expected);
    expect(await cell.marks()).toBe('');
  });

  test('in the git directory of the caller, which agents of the process runtime can write', async () => {
    await using cell = await hostileCell();
    await arm(cell, cell.gitDirectory);
    await writeFile(join(cell.gitDirectory, 'info/attributes'), '* filter=x diff=x merge=x\n');
    await cell.plant(asked);
    await cell.repository.git('-C', cell.worktree, 'status').catch(() => 'the canary is no real filter');
    expect(await cell.marks()).not.toBe('');
    await rm(join(cell.directory, 'ran'));
    expect((await runHostSteps(cell)).changes).toEqual(expected);
    expect(await cell.marks()).toBe('');
  });

  test('in a file that the configuration of the caller includes', async () => {
    await using cell = await hostileCell({ 'a.txt': 'a\n', 'project.gitconfig': '' });
    await cell.repository.git('config', 'include.path', cell.at('project.gitconfig'));
    await cell.repository.git('config', 'includeIf.gitdir:**.path', cell.at('project.gitconfig'));
    const text = `[filter "x"]\n\tclean = ${cell.canary}\n[core]\n\tfsmonitor = ${cell.canary}\n\thooksPath = ${cell.directory}\n`;
    await cell.plant({ ...asked, 'project.gitconfig': text });
    expect((await runHostSteps(cell)).changes).toEqual([...expected, 'modified project.gitconfig'].sort());
    expect(await cell.marks()).toBe('');
  });

  test.each(['clean', 'smudge', 'process'])(
    'of a %s filter of the caller that is a script in the worktree',
    async (kind) => {
      await using cell = await hostileCell({
        'a.txt': 'a\n',
        'tool.sh': '#!/bin/sh\ncat\n',
        '.gitattributes': '*.txt filter=tool\n',
      });
      await chmod(cell.at('tool.sh'), 0o755);
      await cell.repository.git('config', `filter.tool.${kind}`, './tool.sh');
      await writeFile(cell.at('tool.sh'), await readFile(cell.canary));
      await cell.plant({ 'a.txt': 'changed\n' });
      expect((await runHostSteps(cell, ['a.txt'])).changes).toContain('modified tool.sh');
      expect(await cell.marks()).toBe('');
    },
  );

  test('in .gitmodules, macros of attributes, and attributes that would rewrite a file', async () => {
    await using cell = await hostileCell();
    await arm(cell, cell.gitDirectory);
    await cell.plant({
      '.gitmodules': `[submodule "s"]\n\tpath = s\n\turl = ext::${cell.canary}\n\tupdate = !${cell.canary}\n`,
      '.gitattributes': '[attr]evil filter=x diff=x\n* evil ident export-subst\n',
      'a.txt': '$Id$ $Format:%H$\n',
    });
    const { tree, changes } = await runHostSteps(cell);
    expect(changes).toEqual(['added .gitattributes', 'added .gitmodules', 'modified a.txt']);
    expect(await cell.repository.git('cat-file', 'blob', `${tree}:a.txt`)).toBe('$Id$ $Format:%H$');
    expect(await cell.marks()).toBe('');
  });

  test('for a file that has to be checked out in mind, to see whether anybody touched it', async () => {
    await using cell = await hostileCell({ 'a.txt': 'a\r\nb\n', 'dir/b.txt': 'b\n' });
    await arm(cell, cell.gitDirectory);
    await cell.plant({ '.gitattributes': '*.txt filter=x text eol=crlf\n', 'a.txt': 'a\r\nb\r\n' });
    expect((await runHostSteps(cell, ['a.txt'])).changes).toEqual(['added .gitattributes']);
    expect(await cell.marks()).toBe('');
  });

  test('in refs that put other objects in the place of the base', async () => {
    await using cell = await hostileCell({ 'a.txt': 'a\n', 'protected/test.txt': 'as it must be\n' });
    const git = (...args: string[]) => cell.repository.git('-C', cell.worktree, ...args);
    await cell.plant({ 'protected/test.txt': 'passes always\n' });
    await git('add', '--all');
    await git('-c', 'user.name=a', '-c', 'user.email=a@example.invalid', 'commit', '--quiet', '-m', 'Easier');
    await git('replace', cell.baseCommit, 'HEAD');
    await git('replace', `${cell.baseCommit}^{tree}`, 'HEAD^{tree}').catch(() => 'it has the first one');
    await cell.plant({ 'a.txt': 'changed\n' });
    expect((await cell.snapshot(['protected/**'])).protectedPathsTouched).toEqual(['protected/test.txt']);
    expect((await runHostSteps(cell)).changes).toEqual(['modified a.txt']);
  });

  test('deeper down: a repository there is an error that says where', async () => {
    await using cell = await hostileCell();
    for (const path of ['nested', 'dir']) {
      await mkdir(cell.at(path), { recursive: true });
      await arm(cell, await evilRepository(cell, cell.at(path)));
    }
    await cell.plant({ 'nested/.gitattributes': '* filter=x\n', 'dir/b.txt': 'changed\n' });
    await expect(runHostSteps(cell)).rejects.toThrow(/repository inside its worktree \((nested, dir|dir, nested)\)/);
    expect(await cell.marks()).toBe('');
  });
});
