import waitFor from 'p-wait-for';
import { describe, expect, test } from 'vitest';
import { startCells } from '../support/cells-command.ts';
import { startOwnTemporal } from '../support/own-temporal.ts';

// No worker serves this server: it is the starting that is looked at.
describe('a batch that is long to start', () => {
  test('ends with 6 and without a stack when the server goes away meanwhile', async () => {
    await using temporal = await startOwnTemporal();
    const batch = start(temporal.address, 300);
    await says(batch.stderr, 'created/queue');
    await temporal.kill();
    const { exitCode, stderr } = await batch;
    expect(stderr).toMatch(/^error: the Temporal server cannot be reached/m);
    expect(stderr).not.toContain('    at ');
    expect(exitCode).toBe(6);
  });

  test('ends with 130 on Ctrl-C and says how much of it was not started', async () => {
    await using temporal = await startOwnTemporal();
    const detached = start(temporal.address, 2_000, '--detach');
    await says(detached.stdout, 'started t/a0');
    detached.kill('SIGINT');
    const { exitCode, stdout, stderr } = await detached;
    const started = stdout.split('\n').length;
    expect(stderr).toContain(`interrupted; ${2_000 - started} of 2000 cells were not started`);
    expect(exitCode).toBe(130);

    const followed = start(temporal.address, 1_000);
    await says(followed.stderr, 'created/queue');
    followed.kill('SIGINT');
    const { exitCode: code, stderr: notes } = await followed;
    const [, going, left] = /^detached; (\d+) cells? goe?s? on, and (\d+) were not started\./m.exec(notes) ?? [];
    expect(Number(going) + Number(left)).toBe(1_000);
    expect(code).toBe(130);
  });
});

function start(address: string, count: number, ...flags: string[]) {
  const requests = Array.from({ length: count }, (_, index) => ({
    taskId: 't',
    agentId: `a${index}`,
    prompt: 'Do it.',
  }));
  const input = requests.map((request) => JSON.stringify(request)).join('\n');
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: '/nonexistent',
    TEMPORAL_ADDRESS: address,
    TEMPORAL_CONFIG_FILE: '/dev/null',
  };
  return startCells(env, ['batch', ...flags, '-'], { input });
}

async function says(stream: NodeJS.ReadableStream, text: string): Promise<void> {
  let said = '';
  stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await waitFor(() => said.includes(text), { interval: 10, timeout: 90_000 });
}
