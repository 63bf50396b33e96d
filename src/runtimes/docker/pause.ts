import { setTimeout as delay } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import type { Engine } from './client.ts';
import { containersOf } from './containers.ts';
import type { Whose } from './labels.ts';

/** An engine that has not let containers go on within this time, milliseconds, may hang. */
const resumingMs = 2_000;

/** Lets nothing run in these containers until the answer is disposed of. */
export async function pauseContainers(engine: Engine | null, whose: Whose): Promise<AsyncDisposable> {
  await change(engine, whose, 'running', (container) => container.pause());
  return { [Symbol.asyncDispose]: () => resumeContainers(engine, whose) };
}

/** Lets those go on that are paused. Idempotent. */
async function resumeContainers(engine: Engine | null, whose: Whose): Promise<void> {
  await change(engine, whose, 'paused', (container) => container.unpause());
}

/**
 * The same beside the end of their processes: what is paused does not end, and what has got its SIGKILL by then does nothing more. What is
 * not paused needs no engine to end: one that fails, or hangs, is not waited for.
 */
export async function resumeToEnd(engine: Engine | null, whose: Whose): Promise<void> {
  const resumed = resumeContainers(engine, whose).catch(() => undefined);
  await Promise.race([resumed, delay(resumingMs, undefined, { ref: false })]);
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
