import { Readable } from 'node:stream';
import { version } from '../../domain/version.ts';
import { archiveOf, baseTree, digestOf } from './base-tree.ts';
import { type Engine, statusOf, unlessAbsent } from './client.ts';
import { imageLabel } from './labels.ts';

/** The name of the base images, without their tag. */
const repository = 'agent-cells-base';

export interface BuiltImage {
  name: string;
  id: string;
  /** False where it was there already. */
  built: boolean;
  /** Names of earlier ones, which nothing uses any more. */
  removed: string[];
}

/** The name of the base image of this version and this host: another content has another name. */
export async function baseImageName(): Promise<string> {
  return `${repository}:${version}-${digestOf(await baseTree())}`;
}

/** The id of an image; null when the engine does not have it. */
export async function imageId(engine: Engine, name: string): Promise<string | null> {
  const image = await engine.getImage(name).inspect().catch(unlessAbsent);
  return image?.Id ?? null;
}

/** The names of the variables that an image adds to every environment. */
export async function variablesOf(engine: Engine, name: string): Promise<string[]> {
  const { Config } = await engine.getImage(name).inspect();
  // For an image that sets none it is null, whatever the types say.
  const variables: string[] | null = Config.Env ?? null;
  return (variables ?? []).map((variable) => variable.slice(0, variable.indexOf('=')));
}

/** Makes the base image out of nothing but this host: no registry is asked. Idempotent. Removes the base images of other versions that are not in use. */
export async function buildBaseImage(engine: Engine, onStep: (line: string) => void): Promise<BuiltImage> {
  const name = await baseImageName();
  const present = await imageId(engine, name);
  if (present === null) {
    onStep(`importing ${name}`);
    await importBase(engine, name);
  }
  const id = present ?? (await imageId(engine, name));
  if (id === null) throw new Error(`the engine took ${name} and does not have it`);
  return { name, id, built: present === null, removed: await removeOthers(engine, id, onStep) };
}

async function importBase(engine: Engine, name: string): Promise<void> {
  const [, tag] = name.split(':');
  const options = { repo: repository, tag, changes: [`LABEL ${imageLabel}=${version}`] };
  const archive = Readable.from(archiveOf(await baseTree()));
  // The types have `void` in it, for the form with a callback.
  const progress: NodeJS.ReadableStream = await engine.importImage(archive, options);
  // An error of the import comes in the stream, after an answer of 200.
  await new Promise<void>((resolve, reject) => {
    engine.modem.followProgress(progress, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function removeOthers(engine: Engine, keep: string, onStep: (line: string) => void): Promise<string[]> {
  const images = await engine.listImages({ filters: { label: [imageLabel] } });
  const removed: string[] = [];
  for (const { Id, RepoTags } of images) {
    if (Id === keep) continue;
    const name = RepoTags?.[0] ?? Id;
    try {
      await engine.getImage(Id).remove();
    } catch (error) {
      // In use by a container, or somebody else removed it.
      if (![404, 409].includes(statusOf(error) ?? 0)) throw error;
      continue;
    }
    onStep(`removed ${name}, of an earlier version`);
    removed.push(name);
  }
  return removed;
}
