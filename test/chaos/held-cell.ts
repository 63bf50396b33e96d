import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cellIdOf } from '../../src/cell/cell-id.ts';
import type { Lease } from '../../src/cell/lease.ts';
import { CellFailure, type CellHandle, type CellState, cellState, startCell } from '../../src/client.ts';
import type { LedgerEntry } from '../../src/scripted-model/ledger.ts';
import { leaseIn } from '../support/host-state.ts';
import { turnsOf } from '../support/turns.ts';
import type { Pair } from './pair.ts';
import { type CallersRepository, callersRepository } from './repository.ts';
import type { Stage } from './stage.ts';

/** What waits for a word: the agent in its first round, its tests, the agent that repairs. */
const gates = ['execute', 'test', 'repair'] as const;
export type Gate = (typeof gates)[number];

/** A cell of the suite, in a repository of its own. */
export interface HeldCell {
  pair: Pair;
  stage: Stage;
  /** Its agent id, and what its prompt can be told by. */
  name: string;
  repository: CallersRepository;
  /** Where its gates are. */
  directory: string;
  /** Set once it is started. */
  handle: CellHandle;
  /** What holds it where it stands; disposing lets it go on. */
  holds: AsyncDisposableStack;
  /** What a fault has put in its way; disposed of when it has ended. */
  afterwards: AsyncDisposableStack;
  state(): Promise<CellState | null>;
  /** Every id that it can have had, the first one first. */
  cellIds(): string[];
  lease(): Promise<Lease | null>;
  /** What it asked its model for. */
  turns(): LedgerEntry[];
  /** Lets it pass a gate. */
  open(gate: Gate): Promise<void>;
}

const unstarted: CellHandle = {
  workflowId: '',
  runId: '',
  result: () => Promise.reject(new CellFailure('WorkflowFailed', 'it was not started', null, null)),
};

let cells = 0;

/** Writes the right answer, or one that its tests refuse. */
const answers: Partial<Record<Pair['step'], string>> = { repair: 'wrong', revert: 'wrong' };

/** Waits at its gate, and then judges the answer. */
const judging =
  'touch "$GATE/at-test"; while [ ! -e "$GATE/go-test" ]; do sleep 0.2; done; cat answer.txt; grep -q right answer.txt';

/** Makes what a cell needs, and opens its gates but those that are to stay closed. It is started by `begin`. */
export async function makeCell(stage: Stage, pair: Pair, closed: readonly Gate[]): Promise<HeldCell> {
  const name = `cell-${(cells += 1)}`;
  const directory = join(stage.directory, 'gates', name);
  await mkdir(directory, { recursive: true });
  const repository = await callersRepository(stage.repositories, name);
  const cell: HeldCell = {
    pair,
    stage,
    name,
    repository,
    directory,
    handle: unstarted,
    holds: new AsyncDisposableStack(),
    afterwards: new AsyncDisposableStack(),
    state: () => cellState(stage.fleet.client, cell.handle.workflowId).catch(() => null),
    cellIds: () => [0, 1, 2].map((respawn) => cellIdOf({ ...cell.handle, respawn })),
    async lease() {
      const leases = await Promise.all(cell.cellIds().map((id) => leaseIn(stage.fleet.stateDirectory, id)));
      return leases.findLast((lease) => lease !== null) ?? null;
    },
    turns() {
      const asked = turnsOf(stage.fleet.model);
      const sessions = new Set(
        asked.filter(({ prompt }) => prompt?.includes(` ${name}.`)).map(({ session }) => session),
      );
      return asked.filter(({ session }) => sessions.has(session));
    },
    open: (gate) => writeFile(join(directory, `go-${gate}`), ''),
  };
  for (const gate of gates.filter((one) => !closed.includes(one))) await cell.open(gate);
  return cell;
}

/** Starts it: from here on it is Temporal's. */
export async function begin(cell: HeldCell): Promise<void> {
  const { pair, stage, name, repository, directory } = cell;
  const script = pair.script ?? 'works';
  cell.handle = await startCell(stage.fleet.client, {
    taskId: 'chaos',
    agentId: name,
    prompt: `Do it, ${name}. [script: ${script}]`,
    repository: repository.path,
    branch: 'base',
    testCommand: judging,
    maxRepairs: pair.step === 'revert' ? 0 : 1,
    ...pair.request,
    env: { ANSWER: answers[pair.step] ?? 'right', GATE: directory, ...pair.request?.env },
  });
}

/** Opens every gate and takes every hold away. May be done twice. */
export async function letGo(cell: HeldCell): Promise<void> {
  for (const gate of gates) await cell.open(gate);
  await cell.holds.disposeAsync();
}
