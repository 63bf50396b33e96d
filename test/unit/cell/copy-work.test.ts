import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { copyWork } from '../../../src/cell/copy-work.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test('copies files, directories and links, and follows no link out of the work', async () => {
  await using directory = await temporaryDirectory();
  const [work, copy] = [join(directory.path, 'work'), join(directory.path, 'copy')];
  await mkdir(join(work, 'dir'), { recursive: true });
  await writeFile(join(work, 'dir/a.txt'), 'a');
  await writeFile(join(work, 'empty'), '');
  await writeFile(join(directory.path, 'secret'), 'secret');
  await symlink('../secret', join(work, 'link'));
  await symlink('..', join(work, 'up'));
  expect(await copyWork(work, copy)).toEqual({ leftOut: 0 });
  expect((await readdir(copy)).sort()).toEqual(['dir', 'empty', 'link', 'up']);
  expect(await readFile(join(copy, 'dir/a.txt'), 'utf8')).toBe('a');
  expect(await readFile(join(copy, 'empty'), 'utf8')).toBe('');
  expect([await readlink(join(copy, 'link')), await readlink(join(copy, 'up'))]).toEqual(['../secret', '..']);
});

test('leaves out what is no file or too large, and takes over no right but to run', async () => {
  await using directory = await temporaryDirectory();
  const [work, copy] = [join(directory.path, 'work'), join(directory.path, 'copy')];
  await mkdir(work);
  await execa('mkfifo', [join(work, 'pipe')]);
  await writeFile(join(work, 'huge'), '');
  await truncate(join(work, 'huge'), 1024 ** 4);
  await writeFile(join(work, 'tool'), '#!/bin/sh\n');
  await chmod(join(work, 'tool'), 0o4777);
  await writeFile(join(work, 'text'), 'text');
  expect(await copyWork(work, copy)).toEqual({ leftOut: 2 });
  const modes = await Promise.all(
    (await readdir(copy)).map(async (name) => (await stat(join(copy, name))).mode & 0o7777),
  );
  expect(modes.toSorted((one, other) => one - other)).toEqual([0o600, 0o700]);
});

test('leaves out what is beyond so many files and directories, empty as they may be, and counts it', async () => {
  await using directory = await temporaryDirectory();
  const [work, copy] = [join(directory.path, 'work'), join(directory.path, 'copy')];
  await mkdir(join(work, 'dir'), { recursive: true });
  for (const name of ['1', '2', '3', '4', '5']) await writeFile(join(work, 'dir', name), '');
  expect(await copyWork(work, copy, 4)).toEqual({ leftOut: 2 });
  expect(await readdir(join(copy, 'dir'))).toHaveLength(3);
});

test('copies anew when it runs again, and does not write through what it copied', async () => {
  await using directory = await temporaryDirectory();
  const [work, copy, outside] = ['work', 'copy', 'outside'].map((name) => join(directory.path, name));
  if (work === undefined || copy === undefined || outside === undefined) throw new Error('three paths were made');
  await Promise.all([work, copy, outside].map((path) => mkdir(path)));
  await symlink(outside, join(copy, 'dir'));
  await mkdir(join(work, 'dir'));
  await writeFile(join(work, 'dir/a.txt'), 'a');
  await copyWork(work, copy);
  expect(await readdir(outside)).toEqual([]);
  expect(await readFile(join(copy, 'dir/a.txt'), 'utf8')).toBe('a');
});

test('gives a copy its name when it is whole, and none when it was killed over it', async () => {
  await using directory = await temporaryDirectory();
  const [work, copy] = [join(directory.path, 'work'), join(directory.path, 'copy')];
  await mkdir(work);
  await writeFile(join(work, 'large'), Buffer.alloc(16 * 1024 ** 2));
  const program = fileURLToPath(new URL('die-over-copy.ts', import.meta.url));
  await expect(execa(process.execPath, [program, work, copy])).rejects.toMatchObject({ signal: 'SIGKILL' });
  expect((await readdir(directory.path)).toSorted()).toEqual(['copy.new', 'work']);
  expect(await copyWork(work, copy)).toEqual({ leftOut: 0 });
  expect((await readdir(directory.path)).toSorted()).toEqual(['copy', 'work']);
  expect((await stat(join(copy, 'large'))).size).toBe(16 * 1024 ** 2);
});
