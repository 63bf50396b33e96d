import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import type { CellResult } from '../../../src/client.ts';
import { makeDirty, stateOf } from '../../support/dirty-repository.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { testRuntime } from '../../support/test-runtime.ts';
import { type TemporaryRepository, temporaryRepository } from '../../support/temporary-repository.ts';

/** Two repositories: one in the middle of somebody's work, and a tidy one. All cells but the last run at once. */
describe('the work of a cell', { timeout: 240_000 }, () => {
  const stack = new AsyncDisposableStack();
  let fleet: Fleet;
  let dirty: TemporaryRepository;
  let tidy: TemporaryRepository;
  let before: string[];
  let first: CellResult;
  let second: CellResult;
  let reverted: CellResult;
  let foldedIn: CellResult;
  let guarded: CellResult;
  let ignoring: CellResult;
  let executable: CellResult;
  let many: CellResult;
  let manyReverted: CellResult;

  beforeAll(async () => {
    fleet = stack.use(await startFleet({ env: { CELLS_REPOSITORIES: tmpdir() } }));
    tidy = stack.use(
      await temporaryRepository({
        'src/answer.js': "export const answer = 'right';\n",
        'test/answer.test.js': '// the test\n',
        'test/more/other.test.js': '// another\n',
      }),
    );
    dirty = fleet.repository;
    await makeDirty(dirty);
    await hostileSettings(fleet);
    before = await stateOf(dirty);
    const committing = { taskId: 'fix', agentId: 'one', testCommand: 'echo made > made.txt; grep -q right answer.txt' };
    const inTidy = {
      repository: tidy.path,
      testCommand: 'ls test/more && mkdir -p coverage && touch coverage/index.html',
    };
    [first, reverted, foldedIn, guarded, ignoring, executable, many, manyReverted] = await Promise.all([
      fleet.start('edit-file', committing).then((cell) => cell.result()),
      fleet
        .start('never-green', { maxRepairs: 0, testCommand: 'grep -q right answer.txt' })
        .then((cell) => cell.result()),
      fleet.start('commits-itself', inTidy).then((cell) => cell.result()),
      fleet.start('touches-protected', { ...inTidy, protectedPaths: ['test/**'] }).then((cell) => cell.result()),
      fleet.start('ignored-files', inTidy).then((cell) => cell.result()),
      fleet
        .start('makes-executable', {
          repository: tidy.path,
          protectedPaths: ['test/**'],
          testCommand:
            'test -x src/answer.js && test ! -x test/answer.test.js && chmod +x test/more/other.test.js && grep -q right answer.txt',
        })
        .then((cell) => cell.result()),
      fleet.start('many-files', { ...inTidy, protectedPaths: ['guarded/**'] }).then((cell) => cell.result()),
      fleet
        .start('many-files', { ...inTidy, agentId: 'fails', testCommand: 'false', maxRepairs: 0 })
        .then((cell) => cell.result()),
    ]);
    const again = await fleet.start('edit-file', { ...committing, commitMessage: 'Again\n\nFor good.' });
    second = await again.result();
  }, 600_000);
  afterAll(() => stack.disposeAsync());

  test("leaves the caller's checkout, index, stash, configuration and hooks bit for bit as they were", async () => {
    expect([first.status, reverted.status, second.status]).toEqual(['committed', 'reverted', 'committed']);
    expect(await stateOf(dirty)).toEqual(before);
  });

  test('is one commit on the base, by an author of its own, whatever the settings and hooks of the user say', async () => {
    const shown = await dirty.git('log', '-1', '--format=%an <%ae>|%cn <%ce>|%G?|%P', first.commit ?? '');
    const ours = 'agent-cells <agent-cells@localhost>';
    expect(shown).toBe(`${ours}|${ours}|N|${first.baseCommit}`);
    await expect(readFile(join(dirty.path, 'hook-ran'))).rejects.toThrow('ENOENT');
    await expect(readFile(join(dirty.path, 'signer-ran'))).rejects.toThrow('ENOENT');
  });

  test('names its task, agent, cell, workflow, model and tokens in the trailers of its commit', async () => {
    const trailers = await dirty.git('log', '-1', '--format=%(trailers:unfold)', first.commit ?? '');
    expect(trailers.trim().split('\n')).toEqual([
      'Cells-Task: fix',
      'Cells-Agent: one',
      `Cells-Cell: ${first.cellId}`,
      'Cells-Workflow: cell/fix/one',
      'Cells-Model: scripted/default',
      `Cells-Tokens: ${first.tokens.total}`,
    ]);
    expect(await dirty.git('log', '-1', '--format=%s', first.commit ?? '')).toBe('fix: I wrote answer.txt.');
    expect(await dirty.git('log', '-1', '--format=%s', second.commit ?? '')).toBe('Again');
  });

  test('holds nothing that the test command wrote', async () => {
    expect(first.filesModified.map(({ path }) => path)).toEqual(['answer.txt']);
    expect(await dirty.git('diff', '--name-status', `${first.baseCommit}`, first.commit ?? '')).toBe('A\tanswer.txt');
    for (const { filesModified } of [foldedIn, guarded, ignoring])
      expect(filesModified.map(({ path }) => path)).not.toContain('coverage/index.html');
  });

  test('moves its branch in a second run of the same ids, and the earlier tip is kept', async () => {
    expect(second).toMatchObject({ status: 'committed', branch: first.branch, baseCommit: first.baseCommit });
    expect(second.commit).not.toBe(first.commit);
    expect(await dirty.git('rev-parse', 'refs/heads/cells/fix/one')).toBe(second.commit);
    expect(await dirty.git('for-each-ref', '--format=%(refname) %(objectname)', 'refs/cells/superseded')).toBe(
      `refs/cells/superseded/${second.cellId} ${first.commit}`,
    );
  });

  test('is kept under a ref when its tests fail', async () => {
    expect(reverted).toMatchObject({ status: 'reverted', tests: { outcome: 'failed', rounds: 1 } });
    expect(reverted).not.toHaveProperty('branch');
    expect(reverted.revertedRef).toBe(`refs/cells/reverted/${reverted.cellId}`);
    expect(await dirty.git('show', `${reverted.revertedRef}:answer.txt`)).toBe('wrong, try 1');
  });

  test('takes the commits of the agent in, and keeps the messages of those in the repository of the caller', async () => {
    expect(foldedIn.filesModified).toEqual([{ path: 'answer.txt', change: 'added', additions: 1, deletions: 0 }]);
    expect(await tidy.git('rev-list', '--count', `${foldedIn.baseCommit}..${foldedIn.commit}`)).toBe('1');
    const { agentCommits } = cellPaths(fleet.stateDirectory, foldedIn.cellId ?? '');
    const kept = JSON.parse(await readFile(agentCommits, 'utf8').catch(() => '[]')) as unknown;
    // What a confined agent commits is in a git of its own, which the host does not read.
    const messages = testRuntime() === 'process' ? ['Answer by the agent itself'] : [];
    expect(kept).toEqual(messages.map((message) => ({ commit: expect.any(String) as string, message })));
  });

  test('has protected files put back before the tests, and names those that were touched', async () => {
    expect(guarded).toMatchObject({ status: 'committed', protectedPathsTouched: ['test/answer.test.js'] });
    expect(guarded.filesModified.map(({ path }) => path)).toEqual(['src/answer.js']);
    expect(await tidy.git('show', `${guarded.commit}:test/answer.test.js`)).toBe('// the test');
  });

  test('may be the mode of a file alone; that of a protected one is put back, and what tests change is undone', async () => {
    expect(executable).toMatchObject({ status: 'committed', protectedPathsTouched: ['test/answer.test.js'] });
    expect(executable.filesModified).toEqual([
      { path: 'answer.txt', change: 'added', additions: 1, deletions: 0 },
      { path: 'src/answer.js', change: 'modified', additions: 0, deletions: 0 },
    ]);
    expect(await tidy.git('ls-tree', `${executable.commit}`, 'src/answer.js')).toMatch(/^100755 /);
  });

  test('is named as far as a report has room, and the rest of it is counted', async () => {
    const names = (directory: string, from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => `${directory}/${String(from + index).padStart(4, '0')}`);
    expect(many).toMatchObject({ status: 'committed', filesLeftOut: 200, protectedPathsLeftOut: 100 });
    expect(many.filesModified.map(({ path }) => path)).toEqual(names('many', 1, 1000));
    expect(many.protectedPathsTouched).toEqual(names('guarded', 1, 1000));
    expect((await tidy.git('ls-tree', '--name-only', `${many.commit}`, 'many/')).split('\n')).toHaveLength(1200);
    expect(manyReverted).toMatchObject({ status: 'reverted', filesLeftOut: 1300 });
    expect(manyReverted.filesModified).toHaveLength(1000);
  });

  test('leaves ignored files out', async () => {
    expect(ignoring.filesModified.map(({ path }) => path).toSorted()).toEqual(['.gitignore', 'answer.txt']);
  });
});

/** Settings that would sign, rename or stop every commit, in the repository and in the home of the worker. */
async function hostileSettings({ env, repository }: Fleet): Promise<void> {
  const signer = join(env['HOME'] ?? '', 'signer');
  await writeFile(signer, `#!/bin/sh\ntouch ${repository.path}/signer-ran\nexit 1\n`, { mode: 0o755 });
  const settings = [
    ['commit.gpgSign', 'true'],
    ['gpg.program', signer],
    ['user.name', 'Somebody'],
    ['user.email', 'somebody@example.invalid'],
    ['core.hooksPath', join(repository.path, '.git/hooks')],
    ['commit.template', '/nowhere'],
  ];
  for (const [name = '', value = ''] of settings) {
    await repository.git('config', name, value);
    await repository.git('config', '--file', join(env['HOME'] ?? '', '.gitconfig'), name, value);
  }
}
