import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cellPaths, hostPaths } from '../../../src/cell/paths.ts';
import { defaultRetentionMs, expireArtifacts } from '../../../src/cell/retention.ts';
import { emptyTrash } from '../../../src/cell/trash.ts';
import { createLogger } from '../../../src/telemetry/log.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const [old, young, living] = ['00000000000000a1', '00000000000000a2', '00000000000000a3'] as const;
const day = 24 * 60 * 60 * 1000;

describe('expiring artifacts', () => {
  test('deletes those of cells that ended long ago, and neither young ones nor those of living cells', async () => {
    await using directory = await temporaryDirectory();
    await artifacts(directory.path, old, 8 * day);
    await artifacts(directory.path, young, 6 * day);
    await artifacts(directory.path, living, 8 * day);
    expect(await expireArtifacts(directory.path, defaultRetentionMs, new Set([living]))).toEqual([old]);
    expect(await readdir(hostPaths(directory.path).artifacts)).toEqual([young, living]);
    expect(await readdir(hostPaths(directory.path).trash)).toEqual([]);
  });

  test('goes by what was written last, be it in a file that is older than its folder', async () => {
    await using directory = await temporaryDirectory();
    await artifacts(directory.path, old, 8 * day);
    const { serverLog } = cellPaths(directory.path, old);
    await utimes(serverLog, new Date(), new Date());
    expect(await expireArtifacts(directory.path, defaultRetentionMs, new Set())).toEqual([]);
  });

  test('leaves alone what is not of a cell', async () => {
    await using directory = await temporaryDirectory();
    const notes = join(hostPaths(directory.path).artifacts, 'notes');
    await mkdir(notes, { recursive: true });
    await utimes(notes, new Date(0), new Date(0));
    expect(await expireArtifacts(directory.path, 0, new Set())).toEqual([]);
    expect(await readdir(hostPaths(directory.path).artifacts)).toEqual(['notes']);
  });

  test('succeeds where there is nothing', async () => {
    await using directory = await temporaryDirectory();
    expect(await expireArtifacts(directory.path, 0, new Set())).toEqual([]);
    const log = createLogger({ level: 'silent', format: 'json' });
    expect(await emptyTrash({ stateDirectory: directory.path, log })).toBe(0);
  });
});

async function artifacts(stateDirectory: string, cellId: string, age: number): Promise<void> {
  const paths = cellPaths(stateDirectory, cellId);
  await mkdir(paths.artifacts, { recursive: true });
  await writeFile(paths.serverLog, 'listening');
  const at = new Date(Date.now() - age);
  await utimes(paths.serverLog, at, at);
  await utimes(paths.artifacts, at, at);
}
