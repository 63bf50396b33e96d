import { afterAll, beforeAll } from 'vitest';
import { createDockerRuntime } from '../../../src/runtimes/docker.ts';
import { buildBaseImage } from '../../../src/runtimes/docker/image.ts';
import { runtimeContract } from '../../contracts/runtime.contract.ts';
import { type DockerEngine, startDockerEngine } from '../../support/docker-engine.ts';

let docker: DockerEngine;

beforeAll(async () => {
  docker = await startDockerEngine();
  await buildBaseImage(docker.engine, () => undefined);
});

afterAll(() => docker[Symbol.asyncDispose]());

runtimeContract({
  name: 'docker',
  create: (options) =>
    createDockerRuntime({ ...options, docker: { host: docker.host, image: null, project: 'contract' } }),
  unpromised: {
    leftovers: 'what a command leaves behind ends with its container, before it could be counted',
    remains: 'the engine removes a container that has ended',
    asking: 'a container ends at once, and the cell with it',
  },
});
