import type Dockerode from 'dockerode';
import type { Engine } from './client.ts';
import { containersOf } from './containers.ts';
import type { Whose } from './labels.ts';

/** Lets nothing run in these containers until the answer is disposed of. */
export async function pauseContainers(engine: Engine | null, whose: Whose): Promise<AsyncDisposable> {
  await change(engine, whose, 'running', (container) => container.pause());
  return { [Symbol.asyncDispose]: () => resumeContainers(engine, whose) };
}

/** Lets those go on that are paused. Idempotent. */
export async function resumeContainers(engine: Engine | null, whose: Whose): Promise<void> {
  await change(engine, whose, 'paused', (container) => container.unpause());
}

async function change(
  engine: Engine | null,
  whose: Whose,
  state: string,
  how: (container: Dockerode.Container) => Promise<unknown>,
): Promise<void> {
  if (engine === null) return;
  const found = (await containersOf(engine, whose)).filter(({ State }) => State === state);
  await Promise.all(found.map(({ Id }) => how(engine.getContainer(Id)).catch(unlessEnded)));
}

/** It ended, or was paused or resumed by somebody else, in between. */
function unlessEnded(error: unknown): void {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : null;
  if (status !== 404 && status !== 409) throw error;
}
