import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import waitFor from 'p-wait-for';
import { cellMarker } from '../../src/domain/names.ts';
import { giveToCell } from '../../src/runtimes/cell-user.ts';
import type { CellRuntime, Command, Confinement, ProcessSpec } from '../../src/runtimes/runtime.ts';
import { processesMarked } from '../support/processes.ts';
import { runMarker, testRun } from '../support/run.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** How a runtime under test is made. */
export type CreateRuntime = (options: { owner: string; graceMs: number; outputLimitBytes: number }) => CellRuntime;

/** A cell with nothing in it yet; what it comes to hold ends with its scope. */
export interface CellUnderTest extends AsyncDisposable {
  runtime: CellRuntime;
  cellId: string;
  owner: string;
  directory: string;
  /** For the sockets that lead in. */
  inlet: string;
  /** For the sockets that lead out. */
  outlet: string;
  logFile: string;
  /** What to start, in this cell. */
  spec(command: ProcessSpec['command']): ProcessSpec;
  /** What to run, in this cell. */
  command(command: ProcessSpec['command'], change?: Partial<Command>): Command;
  /** Processes that carry the cell's marker, by another look at /proc than the runtime's. */
  processes(): Promise<number[]>;
  waitForProcesses(count: number): Promise<number[]>;
}

const graceMs = 300;
export const outputLimitBytes = 1024 * 1024;

const fixtures = join(import.meta.dirname, '../fixtures/processes');

/** A script of `test/fixtures/processes`. */
export const script = (name: string): [string, string] => ['/bin/sh', join(fixtures, `${name}.sh`)];

/** Whether something goes on writing into the file `beat` of the cell's directory: a sign of life that needs no process number. */
export async function beats({ directory }: Pick<CellUnderTest, 'directory'>): Promise<boolean> {
  const size = async () => (await readFile(join(directory, 'beat')).catch(() => '')).length;
  const before = await size();
  // Ten times as long as between two beats.
  await delay(500);
  return (await size()) > before;
}

export async function cellUnderTest(create: CreateRuntime, given?: { owner: string }): Promise<CellUnderTest> {
  const temporary = await temporaryDirectory();
  const owner = given?.owner ?? randomBytes(16).toString('hex');
  const runtime = create({ owner, graceMs, outputLimitBytes });
  const cellId = randomBytes(8).toString('hex');
  const directory = join(temporary.path, 'worktree');
  const outlet = join(temporary.path, 'out');
  const inlet = join(temporary.path, 'in');
  for (const path of [directory, outlet, inlet]) await mkdir(path);
  await giveToCell(cellId, [directory, inlet]);
  const logFile = join(temporary.path, 'output.log');
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', [runMarker]: testRun() };
  const confinement: Confinement = {
    writable: [directory],
    readable: [{ source: fixtures, target: fixtures }],
    inlet: null,
    outlet,
    model: false,
    allow: [],
    limits: { memory: null, cpus: null, pids: null, disk: null },
  };
  const spec = (command: ProcessSpec['command']) => ({
    cellId,
    command,
    directory,
    env,
    logFile,
    ...(runtime.confines ? { confinement } : {}),
  });
  const processes = async () => (await processesMarked(cellMarker, cellId)).map(({ pid }) => pid);
  return {
    runtime,
    cellId,
    owner,
    directory,
    inlet,
    outlet,
    logFile,
    spec,
    command: (command, change = {}) => ({ ...spec(command), execId: `${cellId}-0`, timeoutMs: 30_000, ...change }),
    processes,
    async waitForProcesses(count) {
      await waitFor(async () => (await processes()).length >= count, { interval: 20, timeout: 20_000 });
      return processes();
    },
    async [Symbol.asyncDispose]() {
      await runtime.destroy(cellId);
      await temporary[Symbol.asyncDispose]();
    },
  };
}
