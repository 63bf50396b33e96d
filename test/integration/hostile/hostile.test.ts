import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import type { CellResult, IsolationName } from '../../../src/client.ts';
import { buildBaseImage } from '../../../src/runtimes/docker/image.ts';
import { type DockerEngine, startDockerEngine } from '../../support/docker-engine.ts';
import { failureOf } from '../../support/endings.ts';
import { runningProcesses } from '../../support/processes.ts';
import { remainsOfHost } from '../../support/remains.ts';
import { spawnedBy, untilReady } from '../../support/warm-servers.ts';
import { type Attempt, type Verdict, broken, codesIn, expectedOf, filesOf } from './attempt.ts';
import { git } from './attempts/git.ts';
import { kernel } from './attempts/kernel.ts';
import { network } from './attempts/network.ts';
import { reading } from './attempts/reading.ts';
import { using } from './attempts/using.ts';
import { writing } from './attempts/writing.ts';
import { type Found, pageWith } from './page.ts';
import { type Stage, callersRepository, canaries, setStage } from './stage.ts';

const attempts: readonly Attempt[] = [...reading, ...writing, ...git, ...network, ...kernel, ...using];
const found = new Map<string, Partial<Record<IsolationName, Verdict>>>();
/** Of a machine that is busy, milliseconds. */
const patience = 600_000;

let docker: DockerEngine;

beforeAll(async () => {
  docker = await startDockerEngine();
  await buildBaseImage(docker.engine, () => undefined);
}, patience);
afterAll(() => docker[Symbol.asyncDispose]());

test('there are more than forty attempts, each of a name of its own', () => {
  expect(attempts.length).toBeGreaterThan(40);
  expect(new Set(attempts.map(({ name }) => name)).size).toBe(attempts.length);
});

/** A cell may be given a server that was booted ahead, in a sandbox that was made before anybody knew of the cell. */
const starts = [
  ['process', 'cold'],
  ['bubblewrap', 'cold'],
  ['bubblewrap', 'warm'],
  ['docker', 'cold'],
  ['docker', 'warm'],
] as const;

describe.each(starts)('an agent that means harm, in %s, on a %s server', (runtime, start) => {
  const confined = runtime !== 'process';
  const tried = (attempt: Attempt) => confined || attempt.process[0] !== 'not tried';
  let stage: Stage;
  let before: Record<string, string>;
  let result: CellResult;
  let codes: Map<string, number>;
  let tests: string;
  let told: string;
  const verdicts = new Map<string, Verdict>();

  beforeAll(async () => {
    stage = await setStage(runtime, start, docker.host);
    const { fleet } = stage;
    await fleet.repository.write(filesOf(attempts, stage.variables, tried));
    await fleet.repository.git('add', '--all');
    await fleet.repository.git('commit', '--quiet', '--message', 'Bring attempts');
    await stage.fleet.repository.git('status');
    before = await callersRepository(fleet.repository.path);
    if (start === 'warm') await untilReady(fleet.stateDirectory);
    const startedSo = await spawnedBy(fleet, start);
    const cell = await fleet.start('hostile', { testCommand: 'sh attempts/test.sh' });
    result = await cell.result();
    expect((await spawnedBy(fleet, start)) - startedSo, 'the server of the cell').toBe(1);
    if (result.cellId === null || result.commit === undefined) throw new Error(`not committed: ${result.reason}`);
    told = await fleet.repository.git('show', `${result.commit}:verdicts.txt`);
    tests = await readFile(cellPaths(fleet.stateDirectory, result.cellId).testOutput(0), 'utf8');
    codes = new Map([...codesIn(told), ...codesIn(tests)]);
    for (const attempt of attempts) verdicts.set(attempt.name, await verdictOn(attempt));
    if (start === 'warm') return;
    for (const [name, verdict] of verdicts) found.set(name, { ...found.get(name), [runtime]: verdict });
  }, patience);
  afterAll(() => stage[Symbol.asyncDispose]());

  test('does what the table says, and no more', () => {
    const seen = attempts.map(({ name }) => `${name}: ${verdicts.get(name)}`);
    expect(seen, `${told}\n${tests}`).toEqual(
      attempts.map((attempt) => `${attempt.name}: ${expectedOf(attempt, runtime)}`),
    );
  });

  test.runIf(confined)('leaves the caller’s repository as it was, bit for bit', async () => {
    expect(await callersRepository(stage.fleet.repository.path)).toEqual(before);
  });

  test.runIf(confined)('gives no secret away in what is committed and kept', async () => {
    const { repository } = stage.fleet;
    const diff = await repository.git('diff', `${result.baseCommit}`, `${result.commit}`);
    for (const canary of Object.values(canaries)) expect(`${diff}${told}${tests}`).not.toContain(canary);
  });

  test('loses no work in a repository inside of its worktree without a word', async () => {
    expect(await failureOf(stage.fleet.client, await stage.fleet.start('nests'))).toMatchObject({
      message: expect.stringContaining('nested'),
    });
  });

  test('is gone with all that it started', async () => {
    await stage.endBystander();
    // With it goes the next server that waits for a cell.
    if (start === 'warm') await stage.fleet.worker.end('SIGTERM');
    expect(await remainsOfHost(stage.fleet.stateDirectory, stage.fleet.repository.path)).toEqual([]);
  });

  async function verdictOn(attempt: Attempt): Promise<Verdict> {
    const code = codes.get(attempt.name);
    if (code === undefined) return 'not tried';
    if (broken.has(code)) throw new Error(`${attempt.name} could not be run`);
    const verdict = (await isSuccess(attempt, code)) ? 'succeeds' : 'refused';
    return !confined && attempt.process[0] === 'depends' ? 'depends' : verdict;
  }

  async function isSuccess({ name, judgedBy, through }: Attempt, code: number): Promise<boolean> {
    switch (judgedBy) {
      case 'mark':
        return (await stage.marks()).includes(name);
      case 'process':
        return await endDaemons(through);
      case 'commit':
        return await isFollowed();
      case undefined:
        return code === 0;
    }
    throw new Error(`${name} is judged in a way that is not known`);
  }

  /** Whether what was to stay is there; it is ended. */
  async function endDaemons(through: Attempt['through']): Promise<boolean> {
    const seconds = stage.variables[through === 'agent' ? 'STAYS_AGENT' : 'STAYS_TEST'];
    const stayed = (await runningProcesses()).filter(({ command }) => command === `sleep ${seconds}`);
    for (const { pid } of stayed) process.kill(pid, 'SIGKILL');
    return stayed.length > 0;
  }

  async function isFollowed(): Promise<boolean> {
    const { repository } = stage.fleet;
    const entries = await repository.git('ls-tree', `${result.commit}`, 'innocent', 'innocent.txt');
    const content = await repository.git('show', `${result.commit}:innocent.txt`).catch(() => '');
    return (
      entries.split('\n').some((line) => line !== '' && !line.startsWith('120000')) ||
      content.includes(canaries.sshKey) ||
      (await stage.marks()).includes('plant-modules')
    );
  }
});

test('docs/security.md has the table of what was found', async () => {
  const { is, shouldBe } = await pageWith(attempts, found satisfies Found);
  expect(plain(is)).toBe(plain(shouldBe));
});

/** Without the spaces and dashes by which columns are aligned. */
const plain = (text: string): string => text.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---');
