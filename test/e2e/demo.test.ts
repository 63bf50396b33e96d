import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { describe, expect, inject, test } from 'vitest';
import { startCells } from '../support/cells-command.ts';
import { root } from '../support/source-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { accepts, processesLeft, remainsOf, userIn } from '../support/user.ts';

const bootstrap = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url));

/** What `npm run demo` runs; to this process a signal can be sent. */
const demo = (home: string, ...flags: string[]) =>
  execa(process.execPath, [bootstrap, 'scripts/demo.ts', ...flags], {
    cwd: root,
    env: userIn(home),
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
  });

// Where a server was given there may be no program to start another with.
describe.skipIf(inject('temporalUiAddress') === null)('the demo', () => {
  test('runs five agents, and ends with 0 and the table', async () => {
    await using home = await temporaryDirectory();
    const options = { cwd: root, env: userIn(home.path), extendEnv: false, stdin: 'ignore', reject: false } as const;
    const { exitCode, stdout, stderr } = await execa('npm', ['run', 'demo'], options);
    expect(stdout).toMatch(/^cell +status +commit +files +tests +tokens +queue +spawn +agent +test +total$/m);
    const statuses = [...stdout.matchAll(/^(\S+\/\S+) +(committed|reverted|TokenBudgetExceeded) +\S+ /gm)];
    expect(statuses.map(([, name, status]) => `${name} ${status}`).toSorted()).toEqual([
      'add-slug/writer committed',
      'fix-dates/mender committed',
      'fix-sum/fixer committed',
      'split-bill/splitter reverted',
      'study-inventory/scholar TokenBudgetExceeded',
    ]);
    expect(stdout).toContain('5 of 5 cells ended as their scripts say.');
    expect(stderr).toMatch(/fix-sum\/fixer +processing\/execute/);
    expect(exitCode).toBe(0);
    expect(await remainsOf(home.path)).toEqual([]);
  });

  test('stays up with --keep until Ctrl-C, and then leaves nothing', async () => {
    await using home = await temporaryDirectory();
    const kept = demo(home.path, '--keep');
    let [shown, said] = ['', ''];
    kept.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()));
    kept.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const stays = () => said.includes('Everything stays up') || kept.exitCode !== null;
    await waitFor(stays, { interval: 200, timeout: 240_000 });
    const address = /TEMPORAL_ADDRESS=(\S+) /.exec(said)?.[1] ?? '';
    const { stdout } = await startCells({ ...userIn(home.path), TEMPORAL_ADDRESS: address }, ['list', '--json']);
    expect(stdout.split('\n')).toHaveLength(5);
    const page = /http:\/\/\S+\/workflows\/\S+/.exec(shown)?.[0] ?? '';
    expect((await fetch(page)).ok).toBe(true);

    kept.kill('SIGINT');
    expect((await kept).exitCode).toBe(0);
    expect(await accepts(address)).toBe(false);
    expect(await remainsOf(home.path)).toEqual([]);
  });

  test('ends its cells when it is interrupted in the middle, and leaves nothing', async () => {
    await using home = await temporaryDirectory();
    const interrupted = demo(home.path);
    let said = '';
    interrupted.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const works = () => said.includes('processing/execute') || interrupted.exitCode !== null;
    await waitFor(works, { interval: 50, timeout: 240_000 });
    interrupted.kill('SIGINT');
    const { exitCode, stdout } = await interrupted;
    expect(said).toContain('interrupted; ending the cells');
    expect(stdout).toBe('');
    expect(exitCode).toBe(130);
    expect(await remainsOf(home.path)).toEqual([]);
  });

  test('takes its worker, its supervisor and its cells along when it is killed', async () => {
    await using home = await temporaryDirectory();
    const options = { cwd: root, env: userIn(home.path), extendEnv: false, stdin: 'ignore', reject: false } as const;
    // Without the script around it: that one would be killed in its stead.
    const killed = execa(process.execPath, ['scripts/demo.ts'], options);
    let said = '';
    killed.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const works = () => said.includes('processing/execute') || killed.exitCode !== null;
    await waitFor(works, { interval: 50, timeout: 240_000 });
    killed.kill('SIGKILL');
    expect((await killed).signal).toBe('SIGKILL');
    expect(await processesLeft(home.path)).toEqual([]);
  });

  test(
    'ends right and leaves nothing with --chaos, which kills its worker and its servers',
    { timeout: 900_000 },
    async () => {
      await using home = await temporaryDirectory();
      const { exitCode, stdout, stderr } = await demo(home.path, '--chaos', '--cells', '6', '--json');
      // What it said is what there is to go by when it ends otherwise.
      expect(exitCode, stderr).toBe(0);
      const shown = JSON.parse(stdout);
      expect(shown.cells.map(({ expected }: { expected: string }) => expected).toSorted()).toEqual([
        'TokenBudgetExceeded',
        'committed',
        'committed',
        'committed',
        'committed',
        'reverted',
      ]);
      expect(shown.ok).toBe(true);
      const kinds = shown.chaos.strikes.map(({ kind }: { kind: string }) => kind).toSorted();
      expect(kinds).toEqual(['server', 'server', 'server', 'server', 'server', 'worker', 'worker']);
      expect(shown.chaos.remains).toEqual({ processes: [], ports: [], worktrees: [], leases: [], directories: [] });
      expect(stderr).toMatch(/✗ killed the server of \S+ \(process \d+\)/);
      expect(stderr).toMatch(/✓ the next worker \(process \d+\) serves/);
      expect(await remainsOf(home.path)).toEqual([]);
    },
  );

  test('says which flags go together', async () => {
    await using home = await temporaryDirectory();
    const { exitCode, stderr } = await demo(home.path, '--cells', '6');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('--cells and --seed go with --chaos');
  });
});
