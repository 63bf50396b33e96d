import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { cellMarker, ownerMarker } from '../../src/domain/names.ts';
import type { CellRuntime } from '../../src/runtimes/runtime.ts';
import { waitUntil } from '../support/wait-until.ts';
import { beats, type CellUnderTest, cellUnderTest, type CreateRuntime, script } from './cell-under-test.ts';
import { confinementContract } from './runtime-confinement.contract.ts';
import { execContract } from './runtime-exec.contract.ts';

/** One implementation of the contract, as the suite needs it. */
export interface RuntimeUnderTest {
  name: CellRuntime['name'];
  create: CreateRuntime;
  /** What this runtime does not promise, each with the reason: it is skipped, and the reason is shown. */
  unpromised: Partial<Record<'confinement' | 'groups' | 'leftovers' | 'signals' | 'asking' | 'remains', string>>;
}

const never = new AbortController().signal;

/** The suite that every runtime passes: it reads as the specification of `CellRuntime`. */
export function runtimeContract(subject: RuntimeUnderTest): void {
  const newCell = (given?: { owner: string }): Promise<CellUnderTest> => cellUnderTest(subject.create, given);

  describe(`the ${subject.name} runtime`, { timeout: 60_000 }, () => {
    test('is usable here', async () => {
      await using cell = await newCell();
      expect(await cell.runtime.probe()).toMatchObject({ usable: true });
      expect(cell.runtime.name).toBe(subject.name);
    });

    describe('starting', () => {
      test('runs the command in its directory with exactly its environment, and appends what it writes', async () => {
        await using cell = await newCell();
        const show = ['/bin/sh', '-c', 'pwd; echo "$GREETING"; echo "${HOME-no home}"; echo error >&2'] as const;
        for (const round of [1, 2]) {
          const spec = cell.spec(show);
          await cell.runtime.start({ ...spec, env: { ...spec.env, GREETING: `hello ${round}` } }, never);
          await waitUntil(async () => (await lines(cell)).length === 4 * round);
        }
        const written = (round: number) => [cell.directory, `hello ${round}`, 'no home', 'error'];
        expect(await lines(cell)).toEqual([...written(1), ...written(2)]);
        expect((await stat(cell.logFile)).mode & 0o777).toBe(0o600);
      });

      test('adds nothing to its environment but the markers of the cell', async () => {
        await using cell = await newCell();
        const { env } = cell.spec(['env']);
        await cell.runtime.start(cell.spec(['env']), never);
        const given = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        await waitUntil(async () => (await lines(cell)).length >= given.length + 2);
        // Some shells say under this name what they started last.
        const found = (await lines(cell)).filter((line) => !line.startsWith('_='));
        const markers = [`${ownerMarker}=${cell.owner}`, `${cellMarker}=${cell.cellId}`];
        expect(found.toSorted()).toEqual([...given, ...markers].toSorted());
      });

      test('takes arguments as they are: no shell reads them', async () => {
        await using cell = await newCell();
        await cell.runtime.start(cell.spec(['printf', '%s\n', '$HOME; `id` "quoted"', '']), never);
        await waitUntil(async () => (await lines(cell)).length >= 1);
        expect(await readFile(cell.logFile, 'utf8')).toBe('$HOME; `id` "quoted"\n\n');
      });

      test('says which program is missing', async () => {
        await using cell = await newCell();
        const start = cell.runtime.start(cell.spec(['no-such-program']), never);
        await expect(start).rejects.toThrow(/no-such-program.*no such program/);
      });

      test('says that the directory is missing, and does not blame the program', async () => {
        await using cell = await newCell();
        const spec = { ...cell.spec(['sleep', '300']), directory: `${cell.directory}/nowhere` };
        await expect(cell.runtime.start(spec, never)).rejects.toThrow(/nowhere does not exist/);
      });

      test('starts nothing when it is aborted already', async () => {
        await using cell = await newCell();
        const start = cell.runtime.start(cell.spec(['sleep', '300']), AbortSignal.abort(new Error('changed my mind')));
        await expect(start).rejects.toThrow('changed my mind');
        expect(await cell.processes()).toEqual([]);
      });

      test('leaves nothing when it is aborted meanwhile', async () => {
        await using cell = await newCell();
        const abort = new AbortController();
        const start = cell.runtime.start(cell.spec(['sleep', '300']), abort.signal);
        abort.abort(new Error('changed my mind'));
        await expect(start).rejects.toThrow('changed my mind');
        expect(await cell.processes()).toEqual([]);
      });
    });

    describe('inspecting', () => {
      test('tells a running process from one that has exited, with its code', async () => {
        await using cell = await newCell();
        const running = await cell.runtime.start(cell.spec(['sleep', '300']), never);
        const exited = await cell.runtime.start(cell.spec(['/bin/sh', '-c', 'exit 7']), never);
        await waitUntil(async () => (await cell.runtime.inspect(exited)).kind !== 'running');
        expect(await cell.runtime.inspect(running)).toEqual({ kind: 'running' });
        expect(await cell.runtime.inspect(exited)).toEqual({ kind: 'exited', exitCode: 7 });
      });

      test('knows a process by its handle alone, in whatever worker', async () => {
        await using cell = await newCell();
        const handle = structuredClone(await cell.runtime.start(cell.spec(['sleep', '300']), never));
        const later = subject.create({ owner: cell.owner, graceMs: 300, outputLimitBytes: 1024 });
        expect(await later.inspect(handle)).toEqual({ kind: 'running' });
        await later.destroy(cell.cellId);
        expect(await later.inspect(handle)).toEqual({ kind: 'gone' });
      });

      test('takes a later process of the same number, or one of another boot, for a stranger', async () => {
        await using cell = await newCell();
        const handle = await cell.runtime.start(cell.spec(['sleep', '300']), never);
        expect(await cell.runtime.inspect({ ...handle, startTime: '1' })).toEqual({ kind: 'gone' });
        expect(await cell.runtime.inspect({ ...handle, bootId: 'another' })).toEqual({ kind: 'gone' });
        expect(await cell.runtime.inspect(handle)).toEqual({ kind: 'running' });
      });
    });

    describe('destroying', () => {
      // Then what a process leaves behind is over when that process is.
      const endsWhole = subject.unpromised.leftovers !== undefined;
      const artists = ['new-session', 'double-fork', 'no-hangup', 'ignores-term', 'zombie', 'kills-parent'];
      test.each(artists)('ends a cell of the kind: %s', async (artist) => {
        await using cell = await newCell();
        const handle = await cell.runtime.start(cell.spec(script(artist)), never);
        if (!endsWhole) await cell.waitForProcesses(1);
        const ended = await cell.runtime.destroy(cell.cellId);
        if (!endsWhole) expect(ended).toBeGreaterThan(0);
        expect(await cell.processes()).toEqual([]);
        expect((await cell.runtime.inspect(handle)).kind).not.toBe('running');
      });

      test('ends a hundred processes', async () => {
        await using cell = await newCell();
        await cell.runtime.start(cell.spec(script('hundred')), never);
        await cell.waitForProcesses(101);
        expect(await cell.runtime.destroy(cell.cellId)).toBeGreaterThanOrEqual(101);
        expect(await cell.processes()).toEqual([]);
      });

      test('ends processes that are followed by others faster than they are found', async () => {
        await using cell = await newCell();
        await cell.runtime.start(cell.spec([...script('fork-chain'), '100000']), never);
        await waitUntil(() => beats(cell));
        await cell.runtime.destroy(cell.cellId);
        expect(await beats(cell)).toBe(false);
      });

      test('ends a child that does not carry the markers', async () => {
        await using cell = await newCell();
        await cell.runtime.start(cell.spec(script('empty-environment')), never);
        await waitUntil(() => beats(cell));
        await cell.runtime.destroy(cell.cellId);
        expect(await beats(cell)).toBe(false);
      });

      const noGroups = subject.unpromised.groups;
      const because = noGroups ? ` (${noGroups})` : '';
      test.skipIf(noGroups)(
        `ends a process that left its session, its parent and its environment${because}`,
        async () => {
          await using cell = await newCell();
          await cell.runtime.start(cell.spec(script('sheds-all-and-stays')), never);
          await waitUntil(() => beats(cell));
          expect(await cell.runtime.list()).toEqual([cell.cellId]);
          expect(await cell.runtime.destroy(cell.cellId)).toBeGreaterThan(0);
          expect(await beats(cell)).toBe(false);
          expect(await cell.runtime.list()).toEqual([]);
        },
      );

      test.skipIf(noGroups)(`ends such processes though each starts the next one and ends${because}`, async () => {
        await using cell = await newCell();
        const mark = `${cell.directory}/survived`;
        await cell.runtime.start(cell.spec([...script('bare-chain'), '300', mark]), never);
        await waitUntil(async () => (await cell.processes()).length === 0);
        await cell.runtime.destroy(cell.cellId);
        expect(await cell.runtime.list()).toEqual([]);
        await expect(stat(mark)).rejects.toThrow('ENOENT');
      });

      test('leaves nothing of the cell but its files', async () => {
        await using cell = await newCell();
        await cell.runtime.start(cell.spec(['sleep', '300']), never);
        await cell.runtime.exec(cell.command(['true'], { logFile: `${cell.logFile}.exec` }), never);
        expect(await cell.runtime.listEmpty()).toEqual([]);
        for (const pid of await cell.processes()) killUnlessGone(pid);
        await waitUntil(async () => (await cell.processes()).length === 0);
        const left = await cell.runtime.listEmpty();
        expect(left).toEqual(noGroups || subject.unpromised.remains ? [] : [cell.cellId]);
        await cell.runtime.destroy(cell.cellId);
        expect(await cell.runtime.listEmpty()).toEqual([]);
      });

      const abrupt = subject.unpromised.asking;
      test.skipIf(abrupt)(`asks before it insists${abrupt ? ` (${abrupt})` : ''}`, async () => {
        await using cell = await newCell();
        const polite = `trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done`;
        await cell.runtime.start(cell.spec(['/bin/sh', '-c', polite]), never);
        await waitUntil(async () => (await lines(cell)).includes('ready'));
        await cell.runtime.destroy(cell.cellId);
        expect(await lines(cell)).toContain('asked');
      });

      test('succeeds where nothing is, once and again', async () => {
        await using cell = await newCell();
        expect(await cell.runtime.destroy(cell.cellId)).toBe(0);
        await cell.runtime.start(cell.spec(['sleep', '300']), never);
        expect(await cell.runtime.destroy(cell.cellId)).toBeGreaterThan(0);
        expect(await cell.runtime.destroy(cell.cellId)).toBe(0);
      });

      test('leaves the other cells of the host alone, and the cell of the same id of another host', async () => {
        await using cell = await newCell();
        await using neighbour = await newCell({ owner: cell.owner });
        await using elsewhere = await newCell();
        await cell.runtime.start(cell.spec(['sleep', '300']), never);
        await neighbour.runtime.start(neighbour.spec(['sleep', '300']), never);
        const same = { ...elsewhere.spec(['sleep', '300']), cellId: cell.cellId };
        const bystander = await elsewhere.runtime.start(same, never);
        await cell.runtime.destroy(cell.cellId);
        expect((await neighbour.processes()).length).toBeGreaterThan(0);
        expect(await cell.processes()).toContain(bystander.pid);
        await elsewhere.runtime.destroy(cell.cellId);
      });
    });

    describe('pausing', () => {
      const count = `trap '' TERM; while :; do echo counted >> count; sleep 0.01; done`;
      // A file of its own: what it writes to its log may be on its way for a while.
      const counted = (cell: CellUnderTest) => readFile(`${cell.directory}/count`, 'utf8').catch(() => '');
      const growing = async (cell: CellUnderTest) => {
        const { length } = await counted(cell);
        await waitUntil(async () => (await counted(cell)).length > length);
      };

      test('lets nothing of a cell run until it is over, and then all of it', async () => {
        await using cell = await newCell();
        await cell.runtime.start(cell.spec(['/bin/sh', '-c', `(${count}) & ${count}`]), never);
        await growing(cell);
        for (const _round of [1, 2]) {
          await using _pause = await cell.runtime.pause(cell.cellId);
          const before = await counted(cell);
          await delay(200);
          expect(await counted(cell)).toBe(before);
        }
        await growing(cell);
      });

      test('is no hindrance to ending the cell', async () => {
        await using cell = await newCell();
        await cell.runtime.start(cell.spec(['/bin/sh', '-c', count]), never);
        await growing(cell);
        await using _pause = await cell.runtime.pause(cell.cellId);
        expect(await cell.runtime.destroy(cell.cellId)).toBeGreaterThan(0);
        expect(await cell.processes()).toEqual([]);
      });

      test('of a cell that has no process is nothing', async () => {
        await using cell = await newCell();
        await using _pause = await cell.runtime.pause(cell.cellId);
        expect(await cell.runtime.list()).toEqual([]);
      });
    });

    describe('listing', () => {
      test('names the cells of its owner that have processes, and no others', async () => {
        await using cell = await newCell();
        await using neighbour = await newCell({ owner: cell.owner });
        await using elsewhere = await newCell();
        for (const each of [cell, neighbour, elsewhere]) await each.runtime.start(each.spec(['sleep', '300']), never);
        expect(await cell.runtime.list()).toEqual([cell.cellId, neighbour.cellId].toSorted());
        await cell.runtime.destroy(cell.cellId);
        expect(await cell.runtime.list()).toEqual([neighbour.cellId]);
      });
    });

    execContract(newCell, subject.unpromised);
    confinementContract(newCell, subject.unpromised.confinement);
  });
}

/** With the first process of what confines a cell the others go too. */
function killUnlessGone(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ESRCH') throw error;
  }
}

async function lines(cell: CellUnderTest): Promise<string[]> {
  const text = await readFile(cell.logFile, 'utf8');
  return text.split('\n').filter((line) => line !== '');
}
