import { readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { cellMarker, execMarker } from '../../../src/domain/names.ts';
import { type CellHostUnderTest, startCellHost } from '../../support/cell-host.ts';
import { processesMarked } from '../../support/processes.ts';
import { remainsOf } from '../../support/remains.ts';

/** Asks to be left alone in every way that it knows, and fills the disk. */
const hostile = `
trap '' TERM HUP
(setsid sh -c 'trap "" TERM HUP; while :; do sleep 1; done' &)
( (exec sleep 300) & )
for fork in 1 2 3 4 5; do sleep 300 & done
head -c 104857600 /dev/urandom
while :; do sleep 1; done`;

describe('what an agent and its tests started', () => {
  let place: CellHostUnderTest;
  let cellId: string;
  let port: number;
  const tests = (command: string, timeoutMs: number, round = 0) => ({
    cellId,
    round,
    command,
    timeoutMs,
    env: {},
    protectedPaths: [],
  });

  beforeAll(async () => {
    place = await startCellHost();
    ({ cellId, port } = await place.spawn());
    await place.steps.executePrompt({ cellId, round: 0, text: 'Do it. [script: daemon]', tokenBudget: 50_000 });
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test('by the test command ends with its timeout, whatever it does against that', { timeout: 180_000 }, async () => {
    const before = Date.now();
    const report = await place.steps.runTests(tests(hostile, 4_000));
    // The timeout, and then the grace between asking and insisting; the rest is for a busy machine.
    expect(Date.now() - before).toBeLessThan(60_000);
    expect(report).toMatchObject({ outcome: 'failed', exitCode: null });
    expect(report.outputTail).toContain('[ended after its timeout of 4 seconds]');
    expect(await processesMarked(execMarker, `${cellId}-test-0`)).toEqual([]);
  });

  test('tells at most 8 KiB of its output, also when that is no text, and keeps at most 64 MiB', async () => {
    const report = await place.steps.runTests(tests('head -c 104857600 /dev/urandom; echo the end', 60_000, 1));
    expect(report.outcome).toBe('passed');
    expect(report.outputTail).toMatch(/the end\n$/);
    expect(Buffer.byteLength(report.outputTail)).toBeLessThanOrEqual(8 * 1024);
    expect(report.outputTail.isWellFormed()).toBe(true);
    const { size } = await stat(cellPaths(place.stateDirectory, cellId).testOutput(1));
    expect(size).toBeLessThanOrEqual(64 * 1024 * 1024 + 1024);
  });

  test('by the agent lives on through its tests and is gone with the cell', async () => {
    const commands = (await processesMarked(cellMarker, cellId)).map(({ command }) => command);
    expect(commands).toContain('sleep 300');
    await place.steps.teardownCell({ cellId });
    expect(await remainsOf(place, cellId, port)).toEqual([]);
  });

  test('has left its logs and transcript, which stay when the cell is gone', async () => {
    const paths = cellPaths(place.stateDirectory, cellId);
    expect(await readFile(paths.serverLog, 'utf8')).toContain('listening');
    expect(await readFile(paths.transcript, 'utf8')).toContain('The service runs.');
    expect((await stat(paths.testOutput(0))).mode & 0o777).toBe(0o600);
  });
});
