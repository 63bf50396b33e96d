import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClosedCellDetail } from '../../../activities/contract.ts';
import { HostCloses } from '../../../src/cell/close-cell.ts';
import { proveServer } from '../../../src/opencode/server.ts';
import { copyWork } from '../../../src/cell/copy-work.ts';
import { cellPaths } from '../../../src/cell/paths.ts';
import { cellSecret } from '../../../src/cell/secret.ts';
import { type CellHostUnderTest, type Steps, ownerOf, requestOf, startCellHost } from '../../support/cell-host.ts';
import { isServer, leasesIn, serverIn } from '../../support/host-state.ts';
import { isRunning, processesMarked } from '../../support/processes.ts';
import { remainsOf } from '../../support/remains.ts';
import { places, turnsOf } from '../../support/turns.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { cellMarker, hostCloses } from '../../../src/domain/names.ts';

const tokens = { input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0, total: 0 };

/** The first run is by one worker process, the second by another: they share the disk and nothing else. */
describe('a step that runs a second time, in another worker process, finds what the first has made:', () => {
  let place: CellHostUnderTest;
  let again: Steps;
  const request = requestOf({ agentId: 'committed' });
  const owner = ownerOf(request);
  let cellId: string;
  const prompt = (script: string) => ({ cellId, round: 0, text: `Do it. [script: ${script}]`, tokenBudget: 50_000 });
  const tests = (command: string) => ({ cellId, round: 0, command, timeoutMs: 20_000, env: {}, protectedPaths: [] });

  /** As another git does that is about to move the branch. Answers the lock. */
  async function lockBranch(agentId: string): Promise<string> {
    const lock = join(place.repository.path, '.git', 'refs', 'heads', 'cells', 'task', `${agentId}.lock`);
    await mkdir(dirname(lock), { recursive: true });
    await writeFile(lock, '');
    return lock;
  }

  beforeAll(async () => {
    place = await startCellHost();
    again = (await place.afterRestart()).steps;
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test('a claim its place', async () => {
    const first = await place.steps.claimHost({ owner, request });
    expect(await again.claimHost({ owner, request })).toEqual(first);
    expect((await leasesIn(place.stateDirectory)).length).toBe(1);
    ({ cellId } = first);
  });

  test('a spawn its server, also when both run at once', async () => {
    const first = await place.steps.spawnCell({ owner, cellId, request });
    const pid = await serverIn(place.stateDirectory, cellId);
    const password = await cellSecret(place.stateDirectory, cellId);
    const later = await Promise.all([
      again.spawnCell({ owner, cellId, request }),
      place.steps.spawnCell({ owner, cellId, request }),
    ]);
    expect(later).toEqual([first, first]);
    expect(await serverIn(place.stateDirectory, cellId)).toBe(pid);
    const servers = (await processesMarked(cellMarker, cellId)).filter(({ command }) => isServer(command));
    expect(servers.map((process) => process.pid)).toEqual([pid]);
    const address = { port: first.port, worktree: first.worktree, password };
    expect(await proveServer(address, new AbortController().signal)).toBe(first.versions.opencode);
  });

  test('an execute its answer, and the model is asked once', async () => {
    const first = await place.steps.executePrompt(prompt('edit-file'));
    expect(first).toMatchObject({
      kind: 'finished',
      usage: { summary: 'I wrote answer.txt.', tokens: { total: 2700 } },
    });
    const second = await again.executePrompt(prompt('edit-file'));
    expect(second).toEqual({ ...first, usage: { ...first.usage, lastActivity: expect.any(Number) } });
    expect(places(turnsOf(place.model))).toEqual(['1.1', '1.2']);
  });

  test('a run of the tests the same tree, whatever the first run left in the worktree', async () => {
    const first = await place.steps.runTests(tests('echo made >> made.txt; cat made.txt'));
    expect(first).toMatchObject({ outcome: 'passed', exitCode: 0, changed: true, outputTail: 'made\n' });
    const second = await again.runTests(tests('cat made.txt'));
    expect(second.tree).toBe(first.tree);
  });

  test('a commit itself, and nothing is superseded', async () => {
    const { tree } = await place.steps.runTests(tests('true'));
    const commit = { cellId, tree, protectedPaths: [], commitMessage: null, summary: 'Done.', tokens };
    const first = await place.steps.commitWork(commit);
    expect(first).toMatchObject({ kind: 'committed', filesModified: [{ path: 'answer.txt', change: 'added' }] });
    expect(await again.commitWork(commit)).toEqual(first);
    expect(await place.repository.git('for-each-ref', '--format=%(refname)', 'refs/cells', 'refs/heads/cells')).toBe(
      'refs/heads/cells/task/committed',
    );
  });

  test('a teardown nothing', async () => {
    const first = await place.steps.teardownCell({ cellId });
    expect(first.alreadyGone).toEqual([]);
    expect((await again.teardownCell({ cellId })).released).toEqual([]);
    expect(await remainsOf(place, cellId)).toEqual([]);
  });

  test('a commit the tested tree, and the agent ended, where the first failed', async () => {
    ({ cellId } = await place.spawn({ agentId: 'locked' }));
    await place.steps.executePrompt(prompt('edit-other'));
    const { tree } = await place.steps.runTests(tests('true'));
    const server = await serverIn(place.stateDirectory, cellId);
    const lock = await lockBranch('locked');
    const commit = { cellId, tree, protectedPaths: [], commitMessage: null, summary: 'Done.', tokens };
    await expect(place.steps.commitWork(commit)).rejects.toThrow('locked');
    await waitUntil(async () => !(await isRunning(server)));
    await rm(lock);
    expect(await again.commitWork(commit)).toMatchObject({ kind: 'committed' });
    await place.steps.teardownCell({ cellId });
  });

  test('a commit without tests the protected paths that were touched, where the first had restored them and failed', async () => {
    const { worktree, ...spawned } = await place.spawn({ agentId: 'protected' });
    ({ cellId } = spawned);
    for (const name of ['README.md', 'work.txt']) await writeFile(join(worktree, name), 'work');
    const lock = await lockBranch('protected');
    const commit = { cellId, tree: null, protectedPaths: ['README.md'], commitMessage: null, summary: '', tokens };
    await expect(place.steps.commitWork(commit)).rejects.toThrow('is in the way');
    await rm(lock);
    expect(await again.commitWork(commit)).toMatchObject({
      filesModified: [{ path: 'work.txt', change: 'added' }],
      protectedPathsTouched: ['README.md'],
    });
    await place.steps.teardownCell({ cellId });
  });

  test('a run of the tests as long as it likes: the first, which is over then, puts nothing back under it', async () => {
    const { worktree, ...spawned } = await place.spawn({ agentId: 'tested' });
    ({ cellId } = spawned);
    await writeFile(join(worktree, 'work.txt'), 'work');
    const first = place.steps.runTests(tests('touch begun; sleep 600')).catch((error: unknown) => error);
    await waitUntil(async () => (await readdir(worktree)).includes('begun'));
    const second = place.steps.runTests(
      tests('echo mine > mine.txt; until [ -e go ]; do sleep 0.1; done; cat mine.txt'),
    );
    expect(await first).toMatchObject({ name: 'Superseded' });
    await writeFile(join(worktree, 'go'), '');
    expect(await second).toMatchObject({ outcome: 'passed', outputTail: 'mine\n' });
    await place.steps.teardownCell({ cellId });
  });

  test('a revert the work that the first has kept', async () => {
    ({ cellId } = await place.spawn({ agentId: 'reverted' }));
    await place.steps.executePrompt(prompt('edit-other'));
    const first = await place.steps.revertWork({ cellId, reason: 'The tests failed.' });
    expect(first).toMatchObject({
      revertedRef: `refs/cells/reverted/${cellId}`,
      filesModified: [{ path: 'other.txt', change: 'added' }],
      usage: { tokens: { total: 2025 } },
    });
    const kept = await place.repository.git('rev-parse', `refs/cells/reverted/${cellId}`);
    expect(await again.revertWork({ cellId, reason: 'The tests failed.' })).toEqual(first);
    expect(await place.repository.git('rev-parse', `refs/cells/reverted/${cellId}`)).toBe(kept);
  });

  test('a revert the files that git did not keep, also when the first was killed while it restored the worktree', async () => {
    const { worktree, ...spawned } = await place.spawn({ agentId: 'kept-as-files' });
    ({ cellId } = spawned);
    await writeFile(join(worktree, 'work.txt'), 'work');
    await place.repository.git('init', '--quiet', join(worktree, 'inside'));
    // As far as it had come: all was copied, and some was removed.
    const { worktreeCopy } = cellPaths(place.stateDirectory, cellId);
    await copyWork(worktree, worktreeCopy);
    for (const name of ['work.txt', 'inside', 'README.md']) await rm(join(worktree, name), { recursive: true });
    expect(await again.revertWork({ cellId, reason: 'The tests failed.' })).toMatchObject({
      revertedRef: null,
      filesModified: [],
    });
    expect(await readFile(join(worktreeCopy, 'work.txt'), 'utf8')).toBe('work');
    expect(await place.repository.git('for-each-ref', `refs/cells/reverted/${cellId}`)).toBe('');
    expect(await readdir(worktree)).toContain('README.md');
  });
});

test('a cell that is made anew may use what its step says is left, and not what its request gave', async () => {
  await using place = await startCellHost();
  const { cellId } = await place.spawn({ agentId: 'anew', tokenBudget: 50_000 });
  const report = await place.steps.executePrompt({
    cellId,
    round: 0,
    text: 'Do it. [script: endless]',
    tokenBudget: 9_000,
  });
  expect(report.kind).toBe('budget-spent');
  expect(report.usage.tokens.total).toBeLessThanOrEqual(9_000 + 1_050);
});

test('a host that ends its cells tells what the agent had used, and where its work is kept', async () => {
  await using place = await startCellHost();
  const { cellId, worktree } = await place.spawn({ agentId: 'ended' });
  await writeFile(join(worktree, 'work.txt'), 'work');
  const ended = place.steps
    .executePrompt({ cellId, round: 0, text: 'Do it. [script: endless]', tokenBudget: 50_000 })
    .catch((error: unknown) => error);
  await waitUntil(() => turnsOf(place.model).length > 2);
  place.host.closing.abort(new HostCloses('the host shuts down'));
  expect(await ended).toMatchObject({ type: 'CellLost', cause: { type: hostCloses } });
  const [kept] = ((await ended) as ApplicationFailure).details as ClosedCellDetail[];
  expect(kept?.revertedRef).toBe(`refs/cells/reverted/${cellId}`);
  const asked = turnsOf(place.model).reduce((sum, { usage }) => sum + (usage?.total ?? 0), 0);
  expect(kept?.tokens.total).toBe(asked);
});
