import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createFile } from './create-file.ts';
import { cellPaths } from './paths.ts';

/**
 * The password of a cell's server: 32 random bytes as base64url, made on the first call and read again by later ones,
 * in any process. The file has mode 600.
 *
 * @throws when the cell has no directory, for then it has no lease, and when the file holds something else
 */
export async function cellSecret(stateDirectory: string, cellId: string): Promise<string> {
  return await makeSecret(cellPaths(stateDirectory, cellId).secret);
}

/** The same, for a file of this name. */
export async function makeSecret(file: string): Promise<string> {
  await createFile(file, randomBytes(32).toString('base64url'));
  const secret = await readFile(file, 'utf8');
  if (!/^[\w-]{43}$/.test(secret)) throw new Error(`${file} does not hold the secret of a cell`);
  return secret;
}
