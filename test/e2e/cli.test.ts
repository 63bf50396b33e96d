import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { cellState } from '../../src/client.ts';
import { cellsScript, startAlone, startCells } from '../support/cells-command.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { lockedDirectory } from '../support/locked-directory.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe('the command cells', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await startFleet({ env: { CELLS_CAPACITY: '4' } });
  });

  afterAll(() => fleet?.[Symbol.asyncDispose]());

  const cells = (...words: string[]) => startCells(fleet.env, words);

  /** `cells run` of a script, as JSON. */
  const run = (script: string, ...words: string[]) =>
    cells('run', '--json', '--task-id', 'run', '--agent-id', script, ...words, `Do it. [script: ${script}]`);

  describe('run', () => {
    test('shows the progress on standard error, the result on standard output, and exits with 0 for a commit', async () => {
      const words = ['--task-id', 'plain', '--agent-id', 'a1', '--test-command', 'grep -q right answer.txt'];
      const { exitCode, stdout, stderr } = await cells('run', ...words, 'Do it. [script: a-few-seconds]');
      expect(stderr).toMatch(/plain\/a1 .*initialising\/spawn/);
      expect(stderr).toMatch(/plain\/a1 .*processing\/execute/);
      const commit = await fleet.repository.git('rev-parse', 'cells/plain/a1');
      expect(stdout).toMatch(/^committed {2}plain\/a1 in \d/);
      expect(stdout).toContain(`cells/plain/a1 at ${commit}`);
      expect(stdout).toMatch(/A answer.txt \+1 -0/);
      expect(stdout).toMatch(/tests +passed in /);
      expect(exitCode).toBe(0);
    });

    test('exits by the status of the cell', async () => {
      const ended = await Promise.all([
        run('never-green', '--test-command', 'grep -q right answer.txt', '--max-repairs', '0'),
        run('unchanged'),
        run('unauthorized'),
        run('endless', '--token-budget', '3000'),
      ]);
      expect(ended.map(({ exitCode, stdout }) => [exitCode, statusIn(stdout)])).toEqual([
        [3, 'reverted'],
        [4, 'unchanged'],
        [5, 'failed: ModelUnavailable'],
        [5, 'failed: TokenBudgetExceeded'],
      ]);
    });

    test('takes a request from a file, and flags over it', async () => {
      await using directory = await temporaryDirectory();
      const file = join(directory.path, 'request.yaml');
      const request = { taskId: 'file', agentId: 'a1', prompt: 'Do it. [script: unchanged]', tokenBudget: 1 };
      await writeFile(file, stringify(request));
      const { exitCode } = await cells('run', '--file', file, '--token-budget', '30000');
      expect(exitCode).toBe(4);
    });

    test('refuses a request before anything is started, naming the field', async () => {
      const [noTask, budget] = await Promise.all([
        cells('run', '--agent-id', 'a1', 'Do it.'),
        run('edit-file', '--token-budget', '0.5'),
      ]);
      expect(noTask.stderr).toContain('error: taskId');
      expect(budget.stderr).toContain('error: tokenBudget: must be a whole number');
      expect([noTask.exitCode, budget.exitCode]).toEqual([2, 2]);
    });

    test('says that Temporal cannot be reached, and what to do', async () => {
      const env = { ...fleet.env, TEMPORAL_ADDRESS: '127.0.0.1:1' };
      const { exitCode, stderr } = await startCells(env, ['run', '--task-id', 't', '--agent-id', 'a', 'Do it.']);
      expect(stderr).toMatch(/^error: .*127\.0\.0\.1:1/);
      expect(stderr).toContain('TEMPORAL_ADDRESS');
      expect(stderr).not.toContain('    at ');
      expect(exitCode).toBe(6);
    });
  });

  test('says of a namespace that the server does not know, and a worker does not start', async () => {
    await using state = await temporaryDirectory();
    const env = { ...fleet.env, TEMPORAL_NAMESPACE: 'nowhere', CELLS_STATE_DIR: state.path };
    const [listed, served] = await Promise.all([startCells(env, ['list']), startCells(env, ['worker'])]);
    for (const { exitCode, stderr } of [listed, served]) {
      expect(stderr).toMatch(/^error: the Temporal server does not know the namespace .*nowhere/m);
      expect(stderr).toMatch(/→ .*TEMPORAL_NAMESPACE/);
      expect(stderr).not.toContain('    at ');
      expect(exitCode).toBe(6);
    }
  });

  describe('a running cell', () => {
    test('goes on when Ctrl-C ends what follows it, can be listed, shown and read, and ends by cancel', async () => {
      const words = ['--task-id', 'slow', '--agent-id', 'a1', '--label', 'team=blue', 'Do it. [script: slow]'];
      const following = cells('run', ...words);
      await writes(following.stderr, 'processing/execute');
      following.kill('SIGINT');
      const detached = await following;
      expect(detached.stderr).toContain('detached; slow/a1 goes on');
      expect(detached.exitCode).toBe(130);

      const again = await cells('run', ...words);
      expect(again.stderr).toContain('a cell of task slow and agent a1 is running already');
      expect(again.exitCode).toBe(2);

      const listed = await cells('list', '--status', 'running', '--json');
      expect(linesOf(listed.stdout)).toEqual([
        expect.objectContaining({ workflowId: 'cell/slow/a1', status: 'running', host: fleet.hostId }),
      ]);

      const shown = JSON.parse((await cells('show', 'slow/a1', '--json')).stdout) as Record<string, unknown>;
      expect(shown).toMatchObject({
        listing: { status: 'running' },
        state: { lifecycle: 'processing', step: 'execute', complete: true },
        labels: { team: 'blue' },
        outcome: null,
      });

      const watching = cells('show', 'slow/a1', '--follow');
      const reading = cells('logs', 'slow/a1', '--follow');
      await Promise.all([writes(watching.stderr, 'processing/execute'), writes(reading.stdout, 'opencode server')]);
      const cancelled = await cells('cancel', 'slow/a1', '--reason', 'a test');
      expect(cancelled.stderr).toContain('slow/a1 is being cancelled');
      expect((await watching).exitCode).toBe(7);
      expect((await reading).exitCode).toBe(0);
      expect((await cells('cancel', 'slow/a1')).stderr).toContain('slow/a1 has ended already');
    });
  });

  test('logs --follow ends as an error when the cell cannot be watched any more', async () => {
    await cells('run', '--task-id', 'slow', '--agent-id', 'a2', '--detach', 'Do it. [script: slow]');
    const id = 'cell/slow/a2';
    const { client } = fleet;
    await waitFor(async () => (await cellState(client, id)).cell.port !== null, { interval: 200, timeout: 90_000 });
    const reading = startAlone(fleet.env, ['logs', 'slow/a2', '--follow']);
    await writes(reading.stdout, 'opencode server');
    // The server ends the run before it deletes it, and an end is none that is an error.
    reading.kill('SIGSTOP');
    await client.workflowService.deleteWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId: id },
    });
    const isDeleted = async () => (await cellState(client, id).catch(() => null)) === null;
    await waitFor(isDeleted, { interval: 100, timeout: 60_000 }).finally(() => reading.kill('SIGCONT'));
    const { exitCode, stderr } = await reading;
    expect(stderr).toMatch(/^error: there is no cell .*slow\/a2/m);
    expect(exitCode).toBe(2);
  });

  describe('batch', () => {
    const request = (agentId: string, script: string) => ({
      taskId: 'batch',
      agentId,
      prompt: `Do it. [script: ${script}]`,
    });

    test('takes JSON lines from standard input, and exits by the worst cell', async () => {
      const requests = [request('a1', 'edit-file'), request('a2', 'unchanged')];
      const input = requests.map((line) => JSON.stringify(line)).join('\n');
      const { exitCode, stdout } = await startCells(fleet.env, ['batch', '-'], { input });
      expect(stdout).toMatch(/^cell +status +commit/);
      expect(stdout).toMatch(/batch\/a1 +committed/);
      expect(stdout).toMatch(/batch\/a2 +unchanged/);
      expect(exitCode).toBe(4);
    });

    test('takes a YAML list, and answers in lines of JSON', async () => {
      await using directory = await temporaryDirectory();
      const file = join(directory.path, 'batch.yaml');
      await writeFile(file, stringify([request('b1', 'edit-file'), request('b2', 'edit-other')]));
      const { exitCode, stdout } = await cells('batch', file, '--json');
      const results = linesOf(stdout).map(({ agentId, status }) => `${String(agentId)} ${String(status)}`);
      expect(results.toSorted()).toEqual(['b1 committed', 'b2 committed']);
      expect(exitCode).toBe(0);
    });

    test('starts nothing when one request is wrong', async () => {
      const input = [request('c1', 'edit-file'), { ...request('c2', 'edit-file'), timeout: '30 parsecs' }]
        .map((line) => JSON.stringify(line))
        .join('\n');
      const { exitCode, stderr } = await startCells(fleet.env, ['batch', '-'], { input });
      expect(stderr).toMatch(/nothing was started.*\n.*line 2: timeout/);
      expect(exitCode).toBe(2);
      const { exitCode: unknown } = await cells('show', 'batch/c1');
      expect(unknown).toBe(2);
    });
  });

  describe('what is kept of a cell that has ended', () => {
    beforeAll(async () => {
      const tests = "printf '\\033]0;owned\\007tested' && test -f answer.txt";
      const words = ['--task-id', 'kept', '--agent-id', 'a1', '--test-command', tests];
      await cells('run', ...words, 'Do it. [script: edit-file]');
    });

    test('is listed and shown', async () => {
      const [plain, json, shown] = await Promise.all([
        cells('list', '--task', 'kept'),
        cells('list', '--task', 'kept', '--json'),
        cells('show', 'kept/a1'),
      ]);
      expect(plain.stdout).toMatch(/kept\/a1 +committed +terminated +teardown/);
      expect(linesOf(json.stdout)).toEqual([
        expect.objectContaining({ taskId: 'kept', agentId: 'a1', status: 'committed', tokens: 2700 }),
      ]);
      expect(shown.stdout).toMatch(/^committed {2}kept\/a1/);
      expect(shown.stdout).toMatch(/processing\/execute/);
    });

    test('can be read: the server, the tests, the agent, the diff', async () => {
      const [server, tests, transcript, diff] = await Promise.all([
        cells('logs', 'kept/a1'),
        cells('logs', 'kept/a1', '--test'),
        cells('logs', 'kept/a1', '--transcript'),
        cells('logs', 'kept/a1', '--diff'),
      ]);
      expect(server.stdout).toContain('opencode server listening');
      expect(tests.stdout).toContain('tested');
      expect(transcript.stdout).toContain('I wrote answer.txt.');
      expect(diff.stdout).toContain('+right');
    });

    test('is read on a terminal without what that would obey, and elsewhere as it is', async () => {
      const onTerminal = (what: string) =>
        execa('script', ['-qefc', `${process.execPath} ${cellsScript} logs kept/a1 ${what}`, '/dev/null'], {
          env: fleet.env,
          extendEnv: false,
          input: '',
        });
      const [elsewhere, tests, diff] = await Promise.all([
        cells('logs', 'kept/a1', '--test'),
        onTerminal('--test'),
        onTerminal('--diff'),
      ]);
      expect(elsewhere.stdout).toContain('\u001b]0;owned\u0007tested');
      expect(tests.stdout).toContain(']0;ownedtested');
      expect(tests.stdout).not.toContain('\u001b]0;');
      expect(diff.stdout).toContain('+right');
    });

    test('is not read on another host, which says where it is', async () => {
      const { exitCode, stderr } = await startCells({ ...fleet.env, CELLS_HOST_ID: 'elsewhere' }, ['logs', 'kept/a1']);
      expect(stderr).toContain(`kept/a1 lives on host ${fleet.hostId}; this is elsewhere`);
      expect(exitCode).toBe(2);
    });

    test('is not taken for gone by a user who may not enter the state directory', async () => {
      await using locked = await lockedDirectory();
      const env = { ...fleet.env, CELLS_STATE_DIR: locked.path };
      const { exitCode, stderr } = await startCells(env, ['logs', 'kept/a1'], locked.user);
      expect(stderr).toContain(`error: the state directory ${locked.path} cannot be used by this user`);
      expect(exitCode).toBe(2);
    });
  });

  describe('doctor', () => {
    test('finds nothing wrong with a host that serves cells', async () => {
      const { exitCode, stdout } = await cells('doctor', '--json');
      const { healthy, checks } = JSON.parse(stdout) as { healthy: boolean; checks: { verdict: string }[] };
      expect(checks.filter(({ verdict }) => verdict === 'problem')).toEqual([]);
      expect(healthy).toBe(true);
      expect(exitCode).toBe(0);
    });

    test('says how to mend what is wrong', async () => {
      const env = { ...fleet.env, TEMPORAL_ADDRESS: '127.0.0.1:1', CELLS_REPOSITORY: '/nowhere' };
      const { exitCode, stdout } = await startCells(env, ['doctor']);
      expect(stdout).toMatch(/✗ Temporal .*127\.0\.0\.1:1/);
      expect(stdout).toMatch(/✗ repositories +not a directory: \/nowhere\n +→ correct CELLS_REPOSITORY/);
      expect(stdout).toContain('2 problems found.');
      expect(exitCode).toBe(1);
    });
  });
});

/** `failed: <type>`, or the status. */
function statusIn(stdout: string): string {
  const { status, failure } = JSON.parse(stdout) as { status: string; failure?: { type: string } };
  return failure === undefined ? status : `${status}: ${failure.type}`;
}

function linesOf(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Waits until a stream has said something. */
async function writes(stream: NodeJS.ReadableStream, text: string): Promise<void> {
  let written = '';
  stream.on('data', (chunk: Buffer) => (written += chunk.toString()));
  await waitFor(() => written.includes(text), { interval: 50, timeout: 90_000 });
}
