import { execa } from 'execa';
import type { Colors } from '../../src/cli/cli.ts';
import { workflowPage } from '../../src/cli/local-temporal.ts';
import { outcomeJson } from '../../src/cli/outcome.ts';
import { outcomeTable, reportIn, statusOf, statusWord } from '../../src/cli/table.ts';
import { oneLine } from '../../src/cli/words.ts';
import type { Stage } from './stage.ts';
import type { EndedTask } from './tasks.ts';

/** The end of the demo for a person: the table, why each ended so, and where to look further. */
export async function renderDemo(
  stage: Stage,
  ended: readonly EndedTask[],
  view: { colors: Colors; kept: boolean },
): Promise<string> {
  const { colors, kept } = view;
  const section = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : ['', colors.bold(title), ...lines.map((line) => `  ${line}`)];
  const width = Math.max(0, ...ended.map(({ name }) => name.length));
  const asExpected = ended.filter(({ outcome, expected }) => statusOf(outcome) === expected).length;
  return [
    outcomeTable(ended, colors),
    ...section(
      'Why',
      ended.map(
        (task) => `${task.name.padEnd(width)}  ${statusWord(task.outcome, colors)}: ${oneLine(reasonOf(task), 140)}`,
      ),
    ),
    ...section(
      'Web UI',
      ended.flatMap((task) => pageOf(stage, task).map((page) => `${task.name.padEnd(width)}  ${page}`)),
    ),
    ...section(`Branches and kept work in ${stage.repository}`, await branchesOf(stage.repository)),
    '',
    `${asExpected} of ${ended.length} cells ended as their scripts say.${kept ? '' : ' All of it goes now; to look around: npm run demo -- --keep'}`,
  ].join('\n');
}

/** The same for a program. */
export async function demoJson(
  stage: Stage,
  ended: readonly EndedTask[],
  right: boolean,
): Promise<Record<string, unknown>> {
  return {
    ok: right,
    temporal: { address: stage.temporal.address, ui: stage.temporal.uiAddress },
    repository: stage.repository,
    branches: await branchesOf(stage.repository),
    cells: ended.map((task) => ({
      workflowId: task.workflowId,
      runId: task.runId,
      page: pageOf(stage, task)[0] ?? null,
      expected: task.expected,
      ...outcomeJson(task.outcome),
    })),
  };
}

const reasonOf = ({ outcome }: EndedTask): string =>
  reportIn(outcome)?.reason ?? (outcome.kind === 'failure' ? outcome.failure.message : '');

function pageOf(stage: Stage, { workflowId, runId }: EndedTask): string[] {
  const { uiAddress } = stage.temporal;
  return uiAddress === null ? [] : [workflowPage(uiAddress, { namespace: stage.namespace, workflowId, runId })];
}

async function branchesOf(repository: string): Promise<string[]> {
  const format = '%(refname) %(objectname:short) %(contents:subject)';
  const { stdout } = await execa('git', ['for-each-ref', `--format=${format}`, 'refs/heads', 'refs/cells'], {
    cwd: repository,
    stdin: 'ignore',
  });
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.replace(/^refs\/heads\//, '')]));
}
