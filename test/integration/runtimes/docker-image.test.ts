import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { archiveOf } from '../../../src/runtimes/docker/base-tree.ts';
import { baseImageName, buildBaseImage, imageId } from '../../../src/runtimes/docker/image.ts';
import { imageLabel } from '../../../src/runtimes/docker/labels.ts';
import { version } from '../../../src/domain/version.ts';
import { startDockerEngine } from '../../support/docker-engine.ts';

const silent = () => undefined;

test('the base image is made without a registry, once, and takes the place of those of other versions', async () => {
  await using docker = await startDockerEngine();
  const { engine } = docker;
  const name = await baseImageName();
  expect(name).toMatch(new RegExp(`^agent-cells-base:${version}-[0-9a-f]{12}$`));
  expect(await imageId(engine, name)).toBeNull();

  const first = await buildBaseImage(engine, silent);
  expect(first).toMatchObject({ name, built: true, removed: [] });
  expect(await buildBaseImage(engine, silent)).toEqual({ ...first, built: false });
  const { Config, Size } = await engine.getImage(name).inspect();
  expect(Config.Labels).toEqual({ [imageLabel]: version });
  expect(Size).toBeLessThan(100_000);

  const earlier = Readable.from(archiveOf([{ kind: 'directory', name: 'tmp', mode: 0o1777 }]));
  const labels = [`LABEL ${imageLabel}=0.0.1`];
  await text(await engine.importImage(earlier, { repo: 'agent-cells-base', tag: '0.0.1-0', changes: labels }));
  expect(await buildBaseImage(engine, silent)).toMatchObject({ built: false, removed: ['agent-cells-base:0.0.1-0'] });
  expect(await imageId(engine, name)).toBe(first.id);
});
