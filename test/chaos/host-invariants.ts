import { scrape } from '../support/prometheus.ts';
import { remainsOfHost } from '../support/remains.ts';
import { waitUntil } from '../support/wait-until.ts';
import type { HeldCell } from './held-cell.ts';
import type { Stage } from './stage.ts';

/** A terminated workflow runs no code that could count it. */
const uncounted = ['Terminated'];

/**
 * What is wrong with the hosts on which all cells have ended: what they hold, and what their figures say.
 *
 * @param countedBefore null where nobody can say how many cells a worker had counted when it was killed
 */
export async function hostProblems(
  stage: Stage,
  cells: readonly HeldCell[],
  countedBefore: number | null,
): Promise<string[]> {
  const repositories = cells.map(({ repository }) => repository.path);
  const patience = cells.some(({ pair }) => pair.reaped) ? 150_000 : 30_000;
  let stays: string[] = [];
  const isEmpty = async () => {
    const remains = stage.hosts.map(({ stateDirectory }) => remainsOfHost(stateDirectory, ...repositories));
    stays = (await Promise.all(remains)).flat();
    return stays.length === 0;
  };
  await waitUntil(isEmpty, patience, stage.signal).catch(() => undefined);
  return [...stays.map((line) => `left on the host: ${line}`), ...(await figures(stage, cells, countedBefore))];
}

async function figures(stage: Stage, cells: readonly HeldCell[], countedBefore: number | null): Promise<string[]> {
  const ended = cells.filter(({ pair }) => !pair.verdicts.some((verdict) => uncounted.includes(verdict))).length;
  let counted = 0;
  let active = 0;
  const addUp = async () => {
    counted = countedBefore === null ? ended : (await stage.counted()) - countedBefore;
    const samples = (await Promise.all(stage.hosts.map(({ metricsUrl }) => scrape(metricsUrl)))).flat();
    active = samples.filter(({ name }) => name === 'cells_active').reduce((sum, { value }) => sum + value, 0);
    return counted === ended && active === 0;
  };
  await waitUntil(addUp, 10_000, stage.signal).catch(() => undefined);
  const most = ended + (counted > ended ? await tasksDoneAgain(stage, cells) : 0);
  return [
    ...(counted >= ended && counted <= most ? [] : [`${ended} cells ended, and ${counted} were counted`]),
    ...(active === 0 ? [] : [`cells_active is ${active} with no cell on the host`]),
  ];
}

/** What a workflow counts in a task is counted again when Temporal hands the task out again, since its answer came too late. */
async function tasksDoneAgain({ fleet }: Stage, cells: readonly HeldCell[]): Promise<number> {
  const histories = await Promise.all(
    cells.map(({ handle }) => fleet.client.workflow.getHandle(handle.workflowId, handle.runId).fetchHistory()),
  );
  const events = histories.flatMap((history) => history.events ?? []);
  return events.filter((event) => event.workflowTaskTimedOutEventAttributes ?? event.workflowTaskFailedEventAttributes)
    .length;
}
