import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { replaceFile } from '../../../src/files/replace-file.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test('replaces a file with the permissions that are wanted, whatever it had and the mask takes away', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'file');
  await writeFile(file, 'earlier', { mode: 0o600 });
  await replaceFile(file, 'later', { mode: 0o666 });
  expect(await readFile(file, 'utf8')).toBe('later');
  expect((await stat(file)).mode & 0o777).toBe(0o666);
  await replaceFile(file, 'latest', { mode: 0o444, sync: false });
  expect((await stat(file)).mode & 0o777).toBe(0o444);
  expect(await readdir(directory.path)).toEqual(['file']);
});

test('leaves what the last of many calls wrote, and nothing in part', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'file');
  // Each is written faster than the one before it.
  const texts = Array.from({ length: 8 }, (_, number) => `${number}`.repeat(1 << (22 - 2 * number)));
  const write = (text: string) => replaceFile(file, text, { mode: 0o600, sync: false });
  await write('first');
  let over = false;
  const writing = Promise.all(texts.map(write)).then(() => (over = true));
  while (!over) expect(['first', ...texts].includes(await readFile(file, 'utf8'))).toBe(true);
  await writing;
  expect((await readFile(file, 'utf8')) === texts.at(-1)).toBe(true);
});

test('leaves no draft when it fails', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'file');
  await mkdir(join(file, 'in the way'), { recursive: true });
  await expect(replaceFile(file, 'text', { mode: 0o600 })).rejects.toThrow('EISDIR');
  expect(await readdir(directory.path)).toEqual(['file']);
});
