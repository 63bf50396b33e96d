import type { CellOutcome, CellReport } from '../../src/client.ts';
import { branchOf } from '../../src/domain/names.ts';
import { stateOf } from '../support/dirty-repository.ts';
import { remainsOf } from '../support/remains.ts';
import { waitUntil } from '../support/wait-until.ts';
import type { HeldCell } from './held-cell.ts';
import { askedAgain } from './ledger.ts';
import type { Verdict } from './pair.ts';
import { refsOf } from './repository.ts';

/** What was found out about one cell after its end. */
export interface Finding {
  verdict: Verdict;
  /** Each a sentence; none where everything holds. */
  problems: string[];
  /** What is still there of it. */
  leftovers: string[];
  /** Prompts that a session holds twice, or that were answered by two sessions of one cell. */
  promptsTwice: number;
}

/** What `works` leaves in its worktree. */
const files = { 'answer.txt': 'right', 'more.txt': 'more' };

/** Checks all that can be checked of one cell alone. */
export async function inspect(cell: HeldCell, outcome: CellOutcome): Promise<Finding> {
  const verdict = outcome.kind === 'verdict' ? outcome.result.status : outcome.failure.type;
  const report = outcome.kind === 'verdict' ? outcome.result : outcome.failure.report;
  const { verdicts, respawns = 0 } = cell.pair;
  const reason = report?.reason ?? (outcome.kind === 'failure' ? outcome.failure.message : '');
  const asked = askedAgain(cell, report);
  const problems = [
    ...(verdicts.includes(verdict) ? [] : [`ended as ${verdict}, not as ${verdicts.join(' or ')}: ${reason}`]),
    ...(report === null || report.respawns <= respawns ? [] : [`was made anew ${report.respawns} times`]),
    ...asked.problems,
    ...(await inRepository(cell, verdict, report)),
  ];
  const leftovers = await leftoversOf(cell);
  return { verdict, problems, leftovers, promptsTwice: asked.promptsTwice };
}

async function inRepository(cell: HeldCell, verdict: Verdict, report: CellReport | null): Promise<string[]> {
  const { repository } = cell;
  const [after, refs, fsck] = await Promise.all([
    stateOf(repository),
    refsOf(repository),
    repository.git('fsck', '--connectivity-only', '--no-dangling').then(
      () => [],
      (error: unknown) => [`git fsck: ${String(error)}`],
    ),
  ]);
  const changed = differences(repository.before, after).map((line) => `the caller's checkout changed: ${line}`);
  return [
    ...changed,
    ...fsck,
    ...refProblems(cell, verdict, report, refs),
    ...(await commitProblems(cell, verdict, report)),
  ];
}

/** Every ref is one that was there, the branch of a commit, or one that keeps what was not committed. */
function refProblems(
  { pair, repository, name, cellIds }: HeldCell,
  verdict: Verdict,
  report: CellReport | null,
  refs: readonly string[],
) {
  const branch = `refs/heads/${branchOf({ taskId: 'chaos', agentId: name })}`;
  const kept = cellIds().flatMap((id) => [
    `refs/cells/reverted/${id}`,
    ...(pair.refs ?? []).map((ref) => ref.replace('<cellId>', id)),
  ]);
  // A terminated workflow tells nobody of the commit that it had made.
  const mayHaveBranch = verdict === 'committed' || verdict === 'Terminated';
  const allowed = new Set([...kept, ...(mayHaveBranch ? [branch] : [])]);
  const added = refs.filter((line) => !repository.refs.includes(line) && !allowed.has(line.split(' ')[1] ?? ''));
  const gone = repository.refs.filter(
    (line) => !refs.includes(line) && !(verdict === 'committed' && line.endsWith(` ${branch}`)),
  );
  const names = refs.map((line) => line.split(' ')[1]);
  const promised = report && 'revertedRef' in report ? report.revertedRef : undefined;
  return [
    ...added.map((line) => `a ref that nobody asked for: ${line}`),
    ...gone.map((line) => `a ref of the caller's is gone: ${line}`),
    ...(typeof promised === 'string' && !names.includes(promised) ? [`${promised} was promised and is not there`] : []),
  ];
}

/** One commit on the base, of the tree that was tested. */
async function commitProblems(
  { pair, repository: { git, commit: base } }: HeldCell,
  verdict: Verdict,
  report: CellReport | null,
): Promise<string[]> {
  if (verdict !== 'committed' || report === null) return [];
  const { branch, commit } = report;
  if (typeof branch !== 'string' || typeof commit !== 'string') return ['was committed without a branch or a commit'];
  const wanted = pair.files ?? files;
  const tip = await git('rev-parse', `refs/heads/${branch}`).catch(() => 'nothing');
  if (tip !== commit) return [`${branch} is at ${tip}, and not at ${commit}`];
  const parents = await git('rev-parse', `${commit}^@`);
  const names = (await git('diff', '--name-only', base, commit)).split('\n').sort();
  const contents = await Promise.all(
    Object.keys(wanted).map((file) => git('show', `${commit}:${file}`).catch(() => null)),
  );
  return [
    ...(parents === base ? [] : [`${commit} is not one commit on ${base}`]),
    ...(names.join() === Object.keys(wanted).toSorted().join() ? [] : [`${commit} changes ${names.join(', ')}`]),
    ...(contents.join() === Object.values(wanted).join() ? [] : [`${commit} holds ${contents.join(', ')}`]),
    ...(report.tests.outcome === 'passed' ? [] : [`was committed, and its tests are ${report.tests.outcome}`]),
  ];
}

async function leftoversOf(cell: HeldCell): Promise<string[]> {
  const places = cell.stage.hosts.map(({ stateDirectory }) => ({ stateDirectory, repository: cell.repository }));
  let left: string[] = [];
  const isClean = async () => {
    const remains = places.flatMap((place) => cell.cellIds().map((id) => remainsOf(place, id)));
    left = (await Promise.all(remains)).flat();
    return left.length === 0;
  };
  await waitUntil(isClean, cell.pair.reaped ? 150_000 : 10_000, cell.stage.signal).catch(() => undefined);
  return left;
}

function differences(before: readonly string[], after: readonly string[]): string[] {
  const [known, now] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !known.has(line)).map((line) => `+ ${line}`),
  ];
}
