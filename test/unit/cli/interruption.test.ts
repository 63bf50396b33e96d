import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const cli = fileURLToPath(new URL('../../../src/cli/cli.ts', import.meta.url));

/** A command that has another program under way, by a library that watches signals too. */
const command = `
import { execa } from 'execa';
import { createCli } from ${JSON.stringify(cli)};
const interrupted = createCli(process).interruption();
const child = execa('sleep', ['600']);
child.catch(() => undefined);
interrupted.addEventListener('abort', () => {
  console.log('asked to end');
  if (process.argv.includes('promptly')) child.kill();
});
console.log('at work');
await child.catch(() => undefined);
console.log('ended');
`;

function start(...flags: string[]) {
  const program = execa(process.execPath, ['--input-type=module', '-e', command, ...flags], { reject: false });
  const lines = program.iterable({ binary: false })[Symbol.asyncIterator]();
  return {
    program,
    async expectLine(line: string): Promise<void> {
      expect((await lines.next()).value).toBe(line);
    },
  };
}

test.for(['SIGINT', 'SIGTERM'] as const)('a command that gets %s brings its work to an end first', async (signal) => {
  const { program, expectLine } = start('promptly');
  await expectLine('at work');
  program.kill(signal);
  await expectLine('asked to end');
  await expectLine('ended');
  expect((await program).exitCode).toBe(0);
});

test('a second signal ends a command at once', async () => {
  const { program, expectLine } = start();
  await expectLine('at work');
  program.kill('SIGTERM');
  await expectLine('asked to end');
  program.kill('SIGINT');
  expect((await program).signal).toBe('SIGINT');
});

test('a signal that arrives twice at once, from the terminal and from who started the command, is one', async () => {
  const { program, expectLine } = start();
  await expectLine('at work');
  program.kill('SIGINT');
  program.kill('SIGINT');
  await expectLine('asked to end');
  program.kill('SIGTERM');
  expect((await program).signal).toBe('SIGTERM');
});
