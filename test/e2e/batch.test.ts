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
