import { mkdir, stat, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { cellSecret } from '../../../src/cell/secret.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const cellId = '0123456789abcdef';

describe('the secret of a cell', () => {
  test('is made once, though many ask at once, and only its owner can read it', async () => {
    await using directory = await temporaryDirectory();
    const paths = cellPaths(directory.path, cellId);
    await mkdir(paths.directory, { recursive: true });
    const secrets = await Promise.all(Array.from({ length: 8 }, () => cellSecret(directory.path, cellId)));
    expect(new Set(secrets).size).toBe(1);
    expect(Buffer.from(secrets[0] ?? '', 'base64url')).toHaveLength(32);
    expect(await cellSecret(directory.path, cellId)).toBe(secrets[0]);
    expect((await stat(paths.secret)).mode & 0o777).toBe(0o600);
  });

  test('differs from cell to cell', async () => {
    await using directory = await temporaryDirectory();
    const other = 'fedcba9876543210';
    for (const id of [cellId, other]) await mkdir(cellPaths(directory.path, id).directory, { recursive: true });
    expect(await cellSecret(directory.path, cellId)).not.toBe(await cellSecret(directory.path, other));
  });

  test('is not made for a cell that has no directory: it would come back to life', async () => {
    await using directory = await temporaryDirectory();
    await expect(cellSecret(directory.path, cellId)).rejects.toThrow('ENOENT');
    await expect(stat(cellPaths(directory.path, cellId).directory)).rejects.toThrow('ENOENT');
  });

  test('is not believed when the file holds something else', async () => {
    await using directory = await temporaryDirectory();
    const paths = cellPaths(directory.path, cellId);
    await mkdir(paths.directory, { recursive: true });
    await writeFile(paths.secret, '');
    await expect(cellSecret(directory.path, cellId)).rejects.toThrow('does not hold');
  });
});
