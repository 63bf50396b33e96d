import { type CellOutcome, outcomeOf } from '../../../src/client.ts';
import { branchOf } from '../../../src/domain/names.ts';
import type { LedgerEntry } from '../../../src/scripted-model/ledger.ts';
import type { Fleet } from '../../support/bring-up-fleet.ts';
import { stateOf } from '../../support/dirty-repository.ts';
import { settled } from '../accounts.ts';
import type { BenchFleet } from '../stage.ts';
import { type MixedCell, mix } from './mix.ts';

/** Runs one of each cell of the mix, and answers what does not hold afterwards, each as a line. */
export async function runRound(bench: BenchFleet, round: number, signal: AbortSignal): Promise<string[]> {
  const { fleet } = bench;
  const taskId = `round-${round}`;
  fleet.model.clearLedger();
  const before = await stateOf(fleet.repository);
  const ended = mix.map(async (cell) => {
    const handle = await fleet.start(cell.script, { ...cell.request, taskId });
    return { cell, outcome: await outcomeOf(handle, { signal }) };
  });
  const outcomes = await Promise.all(ended);
  const branches = await Promise.all(outcomes.map(({ cell, outcome }) => wrongBranch(fleet, taskId, cell, outcome)));
  const after = new Set(await stateOf(fleet.repository));
  const problems = [
    ...outcomes.flatMap(({ cell, outcome }) => wrongVerdict(cell, outcome)),
    ...branches.flat(),
    ...mix.flatMap((cell) => wrongPrompts(cell, fleet.model.ledger())),
    ...before.filter((line) => !after.has(line)).map((line) => `the checkout has changed: ${line}`),
    ...(await settled(bench)).map((line) => `left: ${line}`),
  ];
  return problems.map((problem) => `${taskId}: ${problem}`);
}

function wrongVerdict({ script, verdict }: MixedCell, outcome: CellOutcome): string[] {
  const [ended, why] =
    outcome.kind === 'verdict'
      ? [outcome.result.status, outcome.result.reason]
      : [outcome.failure.type, outcome.failure.message];
  return ended === verdict ? [] : [`${script} ended as ${ended}, not as ${verdict}: ${why}`];
}

/** A branch for each commit, where the result says, and no branch without one. */
async function wrongBranch(
  fleet: Fleet,
  taskId: string,
  { script }: MixedCell,
  outcome: CellOutcome,
): Promise<string[]> {
  const promised = outcome.kind === 'verdict' && outcome.result.status === 'committed' ? outcome.result.commit : '';
  const branch = `refs/heads/${branchOf({ taskId, agentId: script })}`;
  const found = await fleet.repository.git('for-each-ref', '--format=%(objectname)', branch);
  return found === promised ? [] : [`${script} promised the commit "${promised}", and its branch is at "${found}"`];
}

/** One session for each cell, in it each prompt once, and each turn answered in full once. */
function wrongPrompts({ script, prompts }: MixedCell, ledger: readonly LedgerEntry[]): string[] {
  const asked = ledger.filter((entry) => entry.script === script && entry.kind === 'turn');
  const sessions = new Set(asked.map(({ session }) => session));
  const rounds = new Set(asked.map(({ round }) => round));
  const finished = asked.filter(({ outcome }) => outcome === 'finished').map(({ round, turn }) => `${round}.${turn}`);
  return [
    ...(sessions.size === 1 ? [] : [`${script} had ${sessions.size} sessions`]),
    ...(rounds.size === prompts ? [] : [`${script} had ${rounds.size} prompts, not ${prompts}`]),
    ...(new Set(finished).size === finished.length ? [] : [`${script} had a turn answered twice`]),
  ];
}
