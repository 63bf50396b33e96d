import type Dockerode from 'dockerode';
import { removeContainer } from './attached.ts';
import { type Engine, isClosed, isUnreachable } from './client.ts';
import { cellLabel, labelled, type Whose } from './labels.ts';

/** An engine that lists its containers at all does so within this time, milliseconds. */
const listLimit = 30_000;

/** What the engine has that carries these labels, running or not. Nothing where no engine answers. */
export async function containersOf(engine: Engine | null, whose: Whose): Promise<Dockerode.ContainerInfo[]> {
  if (engine === null) return [];
  try {
    return await engine.listContainers({
      all: true,
      filters: labelled(whose),
      abortSignal: AbortSignal.timeout(listLimit),
    });
  } catch (error) {
    if (isUnreachable(error)) return [];
    throw error;
  }
}

/** Ends and removes them all, whatever state they are in. Idempotent. */
export async function removeContainers(engine: Engine, whose: Whose): Promise<void> {
  const found = await containersOf(engine, whose);
  await Promise.all(found.map(({ Id }) => removeContainer(engine.getContainer(Id))));
}

/** The cells that have a container of which this holds, in order. None where the engine is closed to this user. */
export async function cellsWith(
  engine: Engine | null,
  owner: string,
  holds: (container: Dockerode.ContainerInfo) => boolean,
): Promise<string[]> {
  const containers = await containersOf(engine, { owner }).catch((error: unknown) => {
    if (isClosed(error)) return [];
    throw error;
  });
  const found = containers.filter(holds);
  return [...new Set(found.flatMap(({ Labels }) => Labels[cellLabel] ?? []))].toSorted();
}
