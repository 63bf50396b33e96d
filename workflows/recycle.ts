import { patched } from '@temporalio/workflow';
import type { Step } from '../src/domain/lifecycle.ts';
import type { HostSteps } from './activity-proxies.ts';
import { cellIdOf, enter, memoryOf, publish } from './cell-record.ts';
import type { Life } from './life.ts';

/**
 * Replaces the server of a cell between two steps, where its host has said that it has outgrown its memory. At most once in a round:
 * a limit that no server keeps within would have it replaced for ever.
 *
 * @param next the step that comes now
 */
export async function recycle(host: HostSteps, life: Life, round: number, next: Step): Promise<void> {
  const { record, request, owner } = life;
  if (record.outgrown === null || record.recycledIn === round || !patched('recycle')) return;
  record.recycledIn = round;
  enter(record, 'ready', next, `the server is replaced before the next step: ${record.outgrown}`);
  publish(record);
  record.spawned = await host.revive({
    owner,
    cellId: cellIdOf(record),
    request: { ...request, prompt: '' },
    replace: true,
    ...memoryOf(record),
  });
}
