import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { git, GitFailed } from '../../../src/git/git.ts';
import { runProgram } from '../../../src/runner/run-program.ts';
import { startRunner } from '../../../src/runner/runner.ts';
import { runningProcesses } from '../../support/processes.ts';
import { runnersOf } from '../../support/runners.ts';
import { root } from '../../support/source-files.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';
import { waitUntil } from '../../support/wait-until.ts';

const main = join(root, 'src/worker/runner-main.ts');

describe('a process that has a runner', () => {
  let runner: AsyncDisposable;
  beforeEach(() => void (runner = startRunner(main)));
  afterEach(() => runner[Symbol.asyncDispose]());

  test('starts no program itself, and sees of each what it would', async () => {
    await using repository = await temporaryRepository({ 'a.txt': 'a\n' });
    const place = { gitDirectory: join(repository.path, '.git') };
    const [parent, head, hash, failed] = await Promise.all([
      parentOfShell(),
      git(['rev-parse', 'HEAD'], place),
      git(['hash-object', '--stdin'], place, { input: Buffer.from('a\n') }),
      git(['rev-parse', 'nowhere'], place).catch((error: unknown) => error),
    ]);
    expect((await runnersOf(process.pid)).map(({ pid }) => pid)).toEqual([parent]);
    expect(head.trim()).toBe(await repository.git('rev-parse', 'HEAD'));
    expect(hash.trim()).toBe('78981922613b2afb6025042ff6bd878ac1994e85');
    expect(failed).toBeInstanceOf(GitFailed);
    expect(failed).toMatchObject({ exitCode: 128, message: expect.stringContaining('nowhere') });
    expect(await runProgram({ command: ['sh', '-c', 'echo why >&2; exit 3'] })).toEqual({
      exitCode: 3,
      stdout: '',
      stderr: 'why',
    });
    expect(await runProgram({ command: ['/nowhere/program'] })).toMatchObject({
      exitCode: null,
      stderr: expect.stringContaining('ENOENT'),
    });
  });

  test('has a program ended when its caller gives it up, and no other', async () => {
    const gaveUp = new AbortController();
    const given = runProgram({ command: ['sleep', '611'] }, gaveUp.signal);
    const other = runProgram({ command: ['sh', '-c', 'sleep 0.2; echo done'] });
    await waitUntil(async () => (await sleeping('611')).length === 1);
    gaveUp.abort(new Error('given up'));
    await expect(given).rejects.toThrow('given up');
    expect(await sleeping('611')).toEqual([]);
    expect(await other).toMatchObject({ stdout: 'done' });
  });

  test('is told when that ends, and has another with the next program', async () => {
    const parent = await parentOfShell();
    const lost = runProgram({ command: ['sleep', '0.5'] });
    process.kill(parent, 'SIGKILL');
    await expect(lost).rejects.toThrow('the process that runs programs ended with SIGKILL');
    expect(await parentOfShell()).not.toBe(parent);
  });

  test('is still served when the whole group is asked to end', async () => {
    const parent = await parentOfShell();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(parent, signal);
    expect(await parentOfShell()).toBe(parent);
  });
});

test('a runner ends with the process that has it, however that ends', async () => {
  const user = spawn(process.execPath, [join(root, 'test/fixtures/runner/uses-runner.ts'), main], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(user.stdout, 'data');
  const [runner] = await runnersOf(user.pid ?? 0);
  expect(runner).toBeDefined();
  user.kill('SIGKILL');
  await waitUntil(async () => (await runningProcesses()).every(({ pid }) => pid !== runner?.pid));
  // What it had begun comes to its end by itself, as git does whose worker is killed: it is ours to end here.
  for (const { pid } of await sleeping('612')) process.kill(pid, 'SIGKILL');
});

async function parentOfShell(): Promise<number> {
  return Number((await runProgram({ command: ['sh', '-c', 'echo $PPID'] })).stdout);
}

const sleeping = async (seconds: string) =>
  (await runningProcesses()).filter(({ command }) => command === `sleep ${seconds}`);
