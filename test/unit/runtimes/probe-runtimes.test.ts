import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isolations } from '../../../src/domain/request.ts';
import { probeRuntimes } from '../../../src/runtimes/index.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test('every runtime that a request may name is known, under its own name', async () => {
  const probed = await probeRuntimes({ owner: 'test' });
  expect(Object.keys(probed).toSorted()).toEqual(isolations.toSorted());
  for (const name of isolations) expect(probed[name].runtime.name).toBe(name);
});

test.runIf(process.platform === 'linux')(
  'the process runtime is usable, and says that it does not confine',
  async () => {
    const { process: found } = await probeRuntimes({ owner: 'test' });
    expect(found.probe).toMatchObject({ usable: true });
    expect(JSON.stringify(found.probe)).toContain('does not confine');
    expect(Object.keys(found.runtime.unsupported).toSorted()).toEqual(['network', 'resources']);
  },
);

test('the bubblewrap runtime says what its sandboxes have, or why there can be none and what to do', async () => {
  const { bubblewrap } = await probeRuntimes({ owner: 'test' });
  const { probe, runtime } = bubblewrap;
  expect(runtime.confines).toBe(true);
  if (probe.usable) expect(probe.notes.join()).toContain('no network but its model');
  else expect(probe).toEqual({ usable: false, why: expect.any(String), try: expect.any(String) });
});

test('the docker runtime says what its containers have, or why there can be none and what to do', async () => {
  const { docker } = await probeRuntimes({ owner: 'test' });
  const { probe, runtime } = docker;
  expect(runtime.confines).toBe(true);
  if (!probe.usable) expect(probe).toEqual({ usable: false, why: expect.any(String), try: expect.any(String) });
  expect(await runtime.destroy('0123456789abcdef')).toBe(0);
});

test('an engine that never answers makes the docker runtime unusable, and nobody wait for long', async () => {
  await using directory = await temporaryDirectory();
  const socket = join(directory.path, 'engine.sock');
  const engine = createServer().listen(socket);
  await once(engine, 'listening');
  const options = { host: `unix://${socket}`, image: null, project: 'project' };
  const { docker } = await probeRuntimes({ owner: 'test', docker: options });
  expect(docker.probe).toMatchObject({ usable: false, why: expect.stringContaining('no engine can be asked') });
  engine.close();
}, 30_000);
