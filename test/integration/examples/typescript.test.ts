import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CellRequest } from '../../../src/client.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const example = fileURLToPath(new URL('../../../examples/typescript/start-cell.ts', import.meta.url));

describe('a program in TypeScript, with the public API of the package', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await startFleet();
  });

  afterAll(() => fleet?.[Symbol.asyncDispose]());

  async function startCell(request: Partial<CellRequest>) {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'request.json');
    await writeFile(file, JSON.stringify({ taskId: 'typescript', ...request }));
    return await execa(process.execPath, [example, file], {
      env: fleet.env,
      extendEnv: false,
      reject: false,
      all: true,
    });
  }

  test('starts a cell, watches it, and reads its result', async () => {
    const { exitCode, all } = await startCell({ agentId: 'a1', prompt: 'Do it. [script: a-few-seconds]' });
    const lines = all.split('\n');
    expect(lines[0]).toBe('started cell/typescript/a1');
    expect(lines).toContainEqual(expect.stringMatching(/^processing\/execute: \d+ of 50000 tokens/));
    expect(lines).toContainEqual(expect.stringMatching(/^terminated\/teardown: [1-9]\d* of 50000 tokens$/));
    expect(lines).toContain('committed: no test command was given');
    expect(lines).toContain(
      `  cells/typescript/a1 at ${await fleet.repository.git('rev-parse', 'cells/typescript/a1')}`,
    );
    expect(exitCode).toBe(0);
  });

  test('explains a failure, and refuses a wrong request before anything is sent', async () => {
    const [failed, refused] = await Promise.all([
      startCell({ agentId: 'a2', prompt: 'Do it. [script: unauthorized]' }),
      startCell({ agentId: 'a3', prompt: '' }),
    ]);
    expect(failed.stderr).toMatch(/^ModelUnavailable: .*Incorrect API key.*\(check the model name/);
    expect(refused.stderr).toBe('InvalidCellRequest: prompt: must not be empty');
    expect([failed.exitCode, refused.exitCode]).toEqual([1, 1]);
  });
});
