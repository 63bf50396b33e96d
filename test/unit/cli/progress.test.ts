import { Writable } from 'node:stream';
import pc from 'picocolors';
import { describe, expect, test } from 'vitest';
import { createProgress, plainLine, renderProgress, rowOf, type ProgressRow } from '../../../src/cli/progress.ts';
import { noTests, noTokens } from '../../../src/domain/outcome.ts';

const colors = pc.createColors(false);
const row = (known: Partial<ProgressRow> = {}): ProgressRow => ({
  name: 'fix-login/a1',
  lifecycle: 'processing',
  step: 'execute',
  tokens: 1234,
  tokenBudget: 50_000,
  startedAt: 0,
  endedAt: null,
  note: 'edits src/login.ts',
  ...known,
});

function terminal(isTTY: boolean) {
  const written: string[] = [];
  const stream = new Writable({ write: (chunk, _encoding, done) => (written.push(String(chunk)), done()) });
  return { output: Object.assign(stream, { isTTY, columns: 120, rows: 20 }), text: () => written.join('') };
}

describe('the table of the progress', () => {
  test('shows where each cell stands, what it used and for how long', () => {
    const rows = [
      row(),
      row({
        name: 'fix-login/a2',
        lifecycle: 'terminated',
        step: 'teardown',
        endedAt: 9500,
        note: 'committed: the tests passed',
      }),
    ];
    expect(renderProgress(rows, { now: 62_000, columns: 120, lines: 24 }, colors)).toMatchInlineSnapshot(`
      "cell          lifecycle   step      tokens        time
      fix-login/a1  processing  execute   1,234/50,000  1m 2s  edits src/login.ts
      fix-login/a2  terminated  teardown  1,234/50,000  9.5s   committed: the tests passed
      1 of 2 ended"
    `);
  });

  test('keeps to the lines that there are, with the running cells first', () => {
    const ended = Array.from({ length: 30 }, (_, index) => row({ name: `t/ended-${index}`, endedAt: 1 }));
    const text = renderProgress([...ended, row({ name: 't/running' })], { now: 0, columns: 120, lines: 10 }, colors);
    expect(text.split('\n').length).toBeLessThanOrEqual(10);
    expect(text).toContain('t/running');
    expect(text).toContain('30 of 31 ended, 24 not shown');
  });

  test('lets no control character of an agent reach the terminal', () => {
    const text = renderProgress([row({ note: 'a\u001b[2Jb\nc' })], { now: 0, columns: 120, lines: 24 }, colors);
    expect(text).not.toContain('\u001b');
    expect(text).toContain('a [2Jb c');
  });
});

describe('the progress', () => {
  test('is a line for each change of the lifecycle or step where there is no terminal', () => {
    const { output, text } = terminal(false);
    {
      using progress = createProgress(output, colors);
      progress.show(row());
      progress.show(row({ tokens: 2000 }));
      progress.show(row({ lifecycle: 'ready', step: 'test' }));
      progress.say('a remark');
    }
    const lines = text().trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toContain('ready/test');
    expect(lines[2]).toBe('a remark');
  });

  test('ends with the last state on a terminal', () => {
    const { output, text } = terminal(true);
    {
      using progress = createProgress(output, colors);
      progress.show(row());
      progress.show(row({ lifecycle: 'terminated', step: 'teardown', endedAt: 1000 }));
    }
    expect(text()).toContain('terminated');
  });
});

test('a line of the progress can be read alone', () => {
  expect(plainLine(row(), 12_300)).toBe(
    '    12s  fix-login/a1  processing/execute      1,234/50,000 tokens  edits src/login.ts',
  );
});

test('the row of a cell that waits says for what', () => {
  const cell = {
    lifecycle: 'created',
    step: 'queue',
    since: 0,
    attempt: 1,
    cell: { cellId: null, host: null, runtime: null, port: null, worktree: null, branch: 'b' },
    tokens: noTokens,
    tokenBudget: 100,
    lastActivity: null,
    tests: noTests,
    history: [],
    status: 'running',
    doing: null,
    waitingFor: 'a host with room',
    memoryAlert: null,
    complete: true,
  } as const;
  expect(rowOf('t/a', 5, { ...cell, history: [] })).toMatchObject({
    note: 'waits for a host with room',
    startedAt: 5,
    endedAt: null,
  });
});
