import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Plan } from '../../src/cli/dry-run.ts';
import { opencodeProvider, scriptedModelId } from '../../src/scripted-model/opencode-provider.ts';
import { startCells } from '../support/cells-command.ts';
import { writeProgram } from '../support/programs.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type TemporaryRepository, temporaryRepository } from '../support/temporary-repository.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('cells run --dry-run', () => {
  const stack = new AsyncDisposableStack();
  let repository: TemporaryRepository;
  let directory: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    repository = stack.use(await temporaryRepository());
    directory = stack.use(await temporaryDirectory()).path;
    const opencode = join(directory, 'opencode.json');
    const config = JSON.stringify({ ...opencodeProvider('http://127.0.0.1:1'), model: scriptedModelId });
    await writeFile(opencode, config.replace('"apiKey":"scripted"', '"apiKey":"hunter22"'));
    expect(await readFile(opencode, 'utf8')).toContain('hunter22');
    env = {
      PATH: process.env['PATH'] ?? '',
      HOME: directory,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      TEMPORAL_CONFIG_FILE: '/dev/null',
      CELLS_HOST_ID: 'planner',
      CELLS_STATE_DIR: join(directory, 'state'),
      CELLS_REPOSITORY: repository.path,
      CELLS_OPENCODE_CONFIG: opencode,
    };
  });
  afterAll(() => stack.disposeAsync());

  const plan = (...words: string[]) =>
    startCells(env, ['run', '--dry-run', '--task-id', 'plan', '--agent-id', 'a1', ...words, 'Do it.']);

  test('says what would be made, makes nothing, and needs no Temporal server', async () => {
    const before = await repository.git('for-each-ref');
    const { exitCode, stdout } = await plan('--json', '--runtime', 'process', '--timeout', '5m');
    expect(JSON.parse(stdout) as Plan).toMatchObject({
      request: { taskId: 'plan', prompt: 'Do it.', timeout: 300_000, tokenBudget: 50_000 },
      workflow: { id: 'cell/plan/a1', taskQueue: 'agent-cells' },
      host: 'planner',
      runtime: { name: 'process', why: 'the request names it', confines: false },
      repository: {
        location: repository.path,
        baseCommit: await repository.git('rev-parse', 'main'),
        branch: 'cells/plan/a1',
      },
      model: { name: scriptedModelId, models: [scriptedModelId] },
      limits: { timeoutMs: 300_000, tokenBudget: 50_000 },
      paths: { worktree: join(directory, 'state/worktrees/<cellId>') },
      fault: null,
    });
    expect(stdout).not.toContain('hunter22');
    expect(exitCode).toBe(0);
    expect(await readdir(directory)).toEqual(['opencode.json']);
    expect(await repository.git('for-each-ref')).toBe(before);
  });

  test('ends with 2 for what this host would refuse, and says why', async () => {
    const [network, repositoryOfOthers, agentType, invalid] = await Promise.all([
      plan('--runtime', 'process', '--network', 'none'),
      plan('--runtime', 'process', '--repository', 'https://git.example/other'),
      plan('--agent-type', 'nobody'),
      plan('--branch', 'a..b'),
    ]);
    expect(network.stdout).toMatch(/^fault:\n {2}field: network$/m);
    expect(network.stderr).toContain('this host would refuse it: network: the process runtime cannot enforce it');
    expect(repositoryOfOthers.stderr).toContain('https://git.example/other is not a repository that');
    expect(agentType.stderr).toContain('agentType: there is no agent type "nobody"');
    expect(invalid.stderr).toContain('branch');
    expect(invalid.stdout).toBe('');
    expect([network, repositoryOfOthers, agentType, invalid].map(({ exitCode }) => exitCode)).toEqual([2, 2, 2, 2]);
  });

  test('names a configuration of OpenCode that cannot be read', async () => {
    const words = ['run', '--dry-run', '--task-id', 'plan', '--agent-id', 'a1', 'Do it.'];
    const { exitCode, stderr } = await startCells({ ...env, CELLS_OPENCODE_CONFIG: '/nowhere/opencode.json' }, words);
    expect(stderr).toMatch(/^error: CELLS_OPENCODE_CONFIG: .*\/nowhere\/opencode\.json/);
    expect(stderr).not.toContain('    at ');
    expect(exitCode).toBe(2);
  });

  test('ends with 130 on Ctrl-C, and without a word of its own', async () => {
    await using programs = await temporaryDirectory();
    const reached = join(programs.path, 'reached');
    await writeProgram(join(programs.path, 'git'), `echo > '${reached}'; exec sleep 600`);
    const hanging = { ...env, PATH: `${programs.path}:${env['PATH']}` };
    const planning = startCells(hanging, ['run', '--dry-run', '--task-id', 'plan', '--agent-id', 'a1', 'Do it.']);
    await waitUntil(() => existsSync(reached), 60_000);
    planning.kill('SIGINT');
    const { exitCode, stderr } = await planning;
    expect(stderr).toBe('');
    expect(exitCode).toBe(130);
  });
});
