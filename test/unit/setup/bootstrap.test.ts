import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { isRunning } from '../../support/processes.ts';
import { root } from '../../support/source-files.ts';

const bootstrap = join(root, 'scripts/bootstrap.mjs');
const waits = 'test/fixtures/waits-for-signal.ts';
const manifest = readFileSync(join(root, 'package.json'), 'utf8');

describe('the bootstrap', () => {
  test('runs a script on the pinned Node.js, with its arguments', async () => {
    await using program = await started(waits, 'one', 'two');
    expect(manifest).toContain(`"node": "${program.version.slice(1)}"`);
    expect(program.parameters).toBe('one,two');
  });

  test('hands a signal on, waits for the end of what it runs, and ends with its exit code', async () => {
    await using program = await started(waits);
    program.kill('SIGTERM');
    const { exitCode, stdout } = await program.ended;
    expect({ exitCode, last: stdout.split('\n').at(-1) }).toEqual({ exitCode: 7, last: 'terminating' });
    expect(await isRunning(program.pid)).toBe(false);
  });

  test('runs a tool by its name', async () => {
    const { stdout } = await execa('node', [bootstrap, 'tsc', '--version']);
    expect(stdout).toMatch(/^Version \d/);
  });

  test('names what it cannot run', async () => {
    const { exitCode, stderr } = await execa('node', [bootstrap, 'no-such-tool'], { reject: false });
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('called no-such-tool') });
  });
});

async function started(script: string, ...parameters: string[]) {
  const bootstrapped = execa('node', [bootstrap, script, ...parameters], { reject: false, stdin: 'ignore' });
  const [line] = await once(createInterface({ input: bootstrapped.stdout }), 'line');
  const [pid = '', version = '', given = ''] = String(line).split(' ');
  return {
    pid: Number(pid),
    version,
    parameters: given,
    kill: (signal: NodeJS.Signals) => bootstrapped.kill(signal),
    ended: Promise.resolve(bootstrapped),
    [Symbol.asyncDispose]: async () => {
      bootstrapped.kill();
      await bootstrapped;
    },
  };
}
