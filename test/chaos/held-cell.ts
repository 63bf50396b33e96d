import { cellIdOf } from '../../src/cell/cell-id.ts';
import type { Lease } from '../../src/cell/lease.ts';
import { CellFailure, type CellHandle, type CellState, cellState, startCell } from '../../src/client.ts';
import type { LedgerEntry } from '../../src/scripted-model/ledger.ts';
import { leaseIn } from '../support/host-state.ts';
import { testRuntime } from '../support/test-runtime.ts';
import { turnsOf } from '../support/turns.ts';
import { type Gate, gates } from './gates.ts';
import type { Pair } from './pair.ts';
import { type CallersRepository, callersRepository } from './repository.ts';
import type { Stage } from './stage.ts';

/** A cell of the suite, in a repository of its own. */
export interface HeldCell {
  pair: Pair;
  stage: Stage;
  /** Its agent id, and what its prompt can be told by. */
  name: string;
  repository: CallersRepository;
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
  /** Whether it has come to a gate. */
  isAt(gate: Gate): boolean;
  /** Lets it pass a gate. */
  open(gate: Gate): void;
}

const unstarted: CellHandle = {
  workflowId: '',
  runId: '',
  result: () => Promise.reject(new CellFailure('WorkflowFailed', 'it was not started', null, null)),
};

/** Then the way to the gates has to be asked for. */
const isConfined = testRuntime() !== 'process';

let cells = 0;

/** Writes the right answer, or one that its tests refuse. */
const answers: Partial<Record<Pair['step'], string>> = { repair: 'wrong', revert: 'wrong' };

/** Waits at its gate, and then judges the answer. */
const judging = 'until curl -sf "$GATES/test"; do sleep 0.2; done; cat answer.txt; grep -q right answer.txt';

/** Makes what a cell needs, and opens its gates but those that are to stay closed. It is started by `begin`. */
export async function makeCell(stage: Stage, pair: Pair, closed: readonly Gate[]): Promise<HeldCell> {
  const name = `cell-${(cells += 1)}`;
  const repository = await callersRepository(stage.repositories, name);
  const cell: HeldCell = {
    pair,
    stage,
    name,
    repository,
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
    isAt: (gate) => stage.gatekeeper.isReached(name, gate),
    open: (gate) => stage.gatekeeper.open(name, gate),
  };
  for (const gate of gates.filter((one) => !closed.includes(one))) cell.open(gate);
  return cell;
}

/** Starts it: from here on it is Temporal's. */
export async function begin(cell: HeldCell): Promise<void> {
  const { pair, stage, name, repository } = cell;
  const script = pair.script ?? 'works';
  cell.handle = await startCell(stage.fleet.client, {
    taskId: 'chaos',
    agentId: name,
    prompt: `Do it, ${name}. [script: ${script}]`,
    repository: repository.path,
    branch: 'base',
    testCommand: judging,
    maxRepairs: pair.step === 'revert' ? 0 : 1,
    ...(isConfined ? { network: { allow: [stage.gatekeeper.target] } } : {}),
    ...pair.request,
    env: { ANSWER: answers[pair.step] ?? 'right', GATES: stage.gatekeeper.urlOf(name), ...pair.request?.env },
  });
}

/** Opens every gate and takes every hold away. May be done twice. */
export async function letGo(cell: HeldCell): Promise<void> {
  for (const gate of gates) cell.open(gate);
  await cell.holds.disposeAsync();
}
