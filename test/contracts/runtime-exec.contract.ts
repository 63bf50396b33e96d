import { readFile, stat } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { waitUntil } from '../support/wait-until.ts';
import { beats, type CellUnderTest, outputLimitBytes, script } from './cell-under-test.ts';
import type { RuntimeUnderTest } from './runtime.contract.ts';

const never = new AbortController().signal;

type Unpromised = RuntimeUnderTest['unpromised'];

/** What a runtime promises of commands that run to their end. */
export function execContract(newCell: () => Promise<CellUnderTest>, unpromised: Unpromised): void {
  const { groups: noGroups, leftovers: uncounted, signals: untold } = unpromised;
  const because = (reason: string | undefined) => (reason ? ` (${reason})` : '');

  describe('running a command', () => {
    test('answers its exit code, and keeps both of its output streams in order', async () => {
      await using cell = await newCell();
      const text = 'echo one; echo two >&2; echo three; echo four > /dev/stderr; exit 3';
      const result = await cell.runtime.exec(cell.command(['/bin/sh', '-c', text]), never);
      expect(result).toMatchObject({
        exitCode: 3,
        timedOut: false,
        leftovers: 0,
        outputBytes: 19,
        outputBytesLeftOut: 0,
      });
      expect(await readFile(cell.logFile, 'utf8')).toBe('one\ntwo\nthree\nfour\n');
      expect((await stat(cell.logFile)).mode & 0o777).toBe(0o600);
    });

    test('begins its output anew', async () => {
      await using cell = await newCell();
      await cell.runtime.exec(cell.command(['echo', 'first run']), never);
      await cell.runtime.exec(cell.command(['echo', 'second']), never);
      expect(await readFile(cell.logFile, 'utf8')).toBe('second\n');
    });

    test.skipIf(untold)(`answers no exit code when a signal ended it${because(untold)}`, async () => {
      await using cell = await newCell();
      const result = await cell.runtime.exec(cell.command(['/bin/sh', '-c', 'kill -SEGV $$']), never);
      expect(result).toMatchObject({ exitCode: null, timedOut: false });
    });

    test('gives the command no input to wait for', async () => {
      await using cell = await newCell();
      expect(await cell.runtime.exec(cell.command(['cat']), never)).toMatchObject({ exitCode: 0 });
    });

    test('says which program is missing', async () => {
      await using cell = await newCell();
      const run = cell.runtime.exec(cell.command(['no-such-program']), never);
      await expect(run).rejects.toThrow(/no-such-program.*no such program/);
    });

    test('keeps the beginning and the end of an output that is too long, and counts the rest', async () => {
      await using cell = await newCell();
      const text = 'echo first; head -c 100000000 /dev/zero; echo last';
      const result = await cell.runtime.exec(cell.command(['/bin/sh', '-c', text]), never);
      const log = await readFile(cell.logFile, 'utf8');
      expect(result.exitCode).toBe(0);
      expect(result.outputBytes).toBe(100_000_011);
      expect(log.length).toBeLessThan(outputLimitBytes + 100);
      expect(result.outputBytesLeftOut).toBeGreaterThan(100_000_011 - outputLimitBytes - 1);
      expect(log.startsWith('first\n')).toBe(true);
      expect(log.endsWith('last\n')).toBe(true);
      expect(log).toContain(`[${result.outputBytesLeftOut} bytes left out]`);
    });

    test.each(['new-session', 'double-fork', 'no-hangup'])(
      'ends what a command leaves behind, and nothing else of the cell: %s',
      async (artist) => {
        await using cell = await newCell();
        const server = await startServer(cell);
        const before = await cell.processes();
        const result = await cell.runtime.exec(cell.command(script(artist)), never);
        expect(result).toMatchObject({ exitCode: 0, timedOut: false });
        if (!uncounted) expect(result.leftovers).toBe(1);
        expect(await cell.processes()).toEqual(before);
        expect(await cell.runtime.inspect(server)).toEqual({ kind: 'running' });
      },
    );

    test.skipIf(noGroups)(
      `ends what left its session, its parent and its environment, and nothing else of the cell${because(noGroups)}`,
      async () => {
        await using cell = await newCell();
        const server = await startServer(cell);
        const before = await cell.processes();
        const result = await cell.runtime.exec(cell.command(script('sheds-all')), never);
        // One that beats, or that and what it waits for.
        expect(result).toMatchObject({ exitCode: 0, timedOut: false });
        if (!uncounted) expect(result.leftovers).toBeGreaterThan(0);
        expect(await beats(cell)).toBe(false);
        expect(await cell.processes()).toEqual(before);
        expect(await cell.runtime.inspect(server)).toEqual({ kind: 'running' });
      },
    );

    test('ends the child that ended its parent', async () => {
      await using cell = await newCell();
      const result = await cell.runtime.exec(cell.command(script('kills-parent')), never);
      expect(result).toMatchObject({ exitCode: untold ? 137 : null, timedOut: false });
      expect(await cell.processes()).toEqual([]);
    });

    test('ends a command after its timeout, with all that it started', async () => {
      await using cell = await newCell();
      const result = await cell.runtime.exec(cell.command(script('hundred'), { timeoutMs: 1000 }), never);
      expect(result).toMatchObject({ exitCode: null, timedOut: true });
      expect(result.durationMs).toBeGreaterThanOrEqual(1000);
      expect(await cell.processes()).toEqual([]);
    });

    test('ends a command that ignores SIGTERM', async () => {
      await using cell = await newCell();
      const result = await cell.runtime.exec(cell.command(script('ignores-term'), { timeoutMs: 500 }), never);
      expect(result).toMatchObject({ exitCode: null, timedOut: true });
      expect(await cell.processes()).toEqual([]);
    });

    test('takes a timeout that is longer than a timer can be', async () => {
      await using cell = await newCell();
      const result = await cell.runtime.exec(cell.command(['true'], { timeoutMs: 30 * 24 * 3600 * 1000 }), never);
      expect(result).toMatchObject({ exitCode: 0, timedOut: false });
    });

    test('ends everything before it throws when it is aborted', async () => {
      await using cell = await newCell();
      const abort = new AbortController();
      const run = cell.runtime.exec(cell.command(script('hundred')), abort.signal);
      await cell.waitForProcesses(101);
      abort.abort(new Error('cancelled'));
      await expect(run).rejects.toThrow('cancelled');
      expect(await cell.processes()).toEqual([]);
    });

    test('ends a run of the same name that an earlier worker left behind', async () => {
      await using cell = await newCell();
      const earlier = cell.runtime.exec(cell.command(['sleep', '300']), never);
      const [pid] = await cell.waitForProcesses(1);
      const result = await cell.runtime.exec(cell.command(['true'], { logFile: `${cell.logFile}.again` }), never);
      expect(result).toMatchObject({ exitCode: 0, leftovers: 0 });
      expect(await earlier).toMatchObject({ exitCode: null });
      expect(await cell.processes()).not.toContain(pid);
    });

    test('is not cut short by the end of an earlier run of the same name', async () => {
      await using cell = await newCell();
      const earlier = cell.runtime.exec(cell.command(['sleep', '300']), never);
      await cell.waitForProcesses(1);
      const logFile = `${cell.logFile}.again`;
      const result = cell.runtime.exec(cell.command(['/bin/sh', '-c', 'sleep 0.5; exit 3'], { logFile }), never);
      expect(await earlier).toMatchObject({ exitCode: null });
      expect(await result).toMatchObject({ exitCode: 3, leftovers: 0 });
    });

    test('is not cut short either when a run between the two was called off before it began', async () => {
      await using cell = await newCell();
      const earlier = cell.runtime.exec(cell.command(['sleep', '300']), never);
      await cell.waitForProcesses(1);
      const between = cell.runtime.exec(cell.command(['true']), AbortSignal.abort(new Error('cancelled')));
      await expect(between).rejects.toThrow('cancelled');
      const logFile = `${cell.logFile}.again`;
      const result = cell.runtime.exec(cell.command(['/bin/sh', '-c', 'sleep 0.5; exit 3'], { logFile }), never);
      expect(await earlier).toMatchObject({ exitCode: null });
      expect(await result).toMatchObject({ exitCode: 3, leftovers: 0 });
    });
  });
}

/** Starts a server, and answers when its program runs in whatever its runtime puts around it: then its processes are all there. */
async function startServer(cell: CellUnderTest) {
  const logFile = `${cell.logFile}.server`;
  const spec = { ...cell.spec(['sh', '-c', 'echo up; exec sleep 300']), logFile };
  const server = await cell.runtime.start(spec, never);
  await waitUntil(async () => (await readFile(logFile, 'utf8').catch(() => '')) === 'up\n');
  return server;
}
