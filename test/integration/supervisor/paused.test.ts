import { expect, test } from 'vitest';
import { stateDirectoryId } from '../../../src/cell/hostlock.ts';
import { createDockerRuntime } from '../../../src/runtimes/docker.ts';
import { buildBaseImage } from '../../../src/runtimes/docker/image.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { cellUnderTest } from '../../contracts/cell-under-test.ts';
import { startDockerEngine } from '../../support/docker-engine.ts';
import { endSupervisor } from '../../support/supervised-cell.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

const never = new AbortController().signal;

// Where the engine has control groups of version 1: in those of version 2 what is paused ends all the same.
test('a supervisor begins, and ends, though a worker that died left cells in Docker paused', async () => {
  await using engine = await startDockerEngine();
  await buildBaseImage(engine.engine, () => undefined);
  await using directory = await temporaryDirectory();
  const docker = { host: engine.host, image: null, project: 'paused' };
  const owner = await stateDirectoryId(directory.path);
  await using cell = await cellUnderTest((options) => createDockerRuntime({ ...options, docker }), { owner });
  const leavePaused = async () => {
    await cell.runtime.start(cell.spec(['sleep', '300']), never);
    await cell.runtime.pause(cell.cellId);
  };
  const ended = () => waitUntil(async () => (await cell.processes()).length === 0);

  await leavePaused();
  await using client = await connectSupervisor(directory.path, { docker });
  await ended();
  await leavePaused();
  await endSupervisor(client);
  await ended();
  expect(await cell.processes()).toEqual([]);
});
