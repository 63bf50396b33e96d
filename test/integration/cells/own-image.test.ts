import { afterAll, beforeAll, expect, test } from 'vitest';
import { probeDocker } from '../../../src/runtimes/docker/probe.ts';
import { type DockerEngine, startDockerEngine } from '../../support/docker-engine.ts';
import { startFleet } from '../../support/fleet.ts';
import { importOwnImage } from '../../support/own-image.ts';

const limits = { timeout: 300_000 };
const packages = ['dash', 'coreutils', 'grep', 'libc6'];
const common = { mark: 'an image of an operator', variable: 'OWN_IMAGE=seen' };
let docker: DockerEngine;

beforeAll(async () => {
  docker = await startDockerEngine();
}, 120_000);
afterAll(() => docker[Symbol.asyncDispose]());

test(
  'a cell runs in the image that its operator named, and sees its programs and not those of the host',
  limits,
  async () => {
    await importOwnImage(docker.engine, { ...common, name: 'own:whole', packages: [...packages, 'git', 'socat'] });
    const env = { CELLS_RUNTIME: 'docker', DOCKER_HOST: docker.host, CELLS_DOCKER_IMAGE: 'own:whole' };
    await using fleet = await startFleet({ env });
    const testCommand = [
      'test "$(cat /own-image)" = "an image of an operator"',
      'git status --short | grep answer.txt',
      // Of the host's, which the image does not have.
      'test ! -e /usr/bin/dpkg',
      'test -z "$OWN_IMAGE"',
    ].join(' && ');
    const cell = await fleet.start('edit-file', { testCommand });
    expect(await cell.result()).toMatchObject({
      status: 'committed',
      runtime: 'docker',
      tests: { outcome: 'passed', rounds: 1 },
    });
  },
);

test('an image that is not there, or lacks what cells need, is refused before any cell', limits, async () => {
  const probe = (image: string) => probeDocker({ image, host: docker.host });
  expect(await probe('own:absent')).toMatchObject({
    usable: false,
    why: expect.stringContaining('does not have the image own:absent'),
  });
  await importOwnImage(docker.engine, { ...common, name: 'own:half', packages });
  expect(await probe('own:half')).toMatchObject({ usable: false, why: expect.stringMatching(/no git, socat$/) });
  await importOwnImage(docker.engine, { ...common, name: 'own:empty', packages: [] });
  expect(await probe('own:empty')).toMatchObject({ usable: false, why: expect.stringContaining('/bin/sh') });
  expect(await docker.engine.listContainers({ all: true })).toEqual([]);
});
