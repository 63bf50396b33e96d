import { removeContainer } from './attached.ts';
import type { Engine } from './client.ts';

/** What runs in every container before anything of its cell does, and what an agent commits with. */
const needed = ['git', 'grep', 'id', 'sleep', 'socat'];

/**
 * Runs a container of an image that an operator named, to see what it lacks; null when a cell can run in it. A cell would find out only after
 * a minute, by a server that nobody can reach.
 */
export async function whyNotImage(engine: Engine, image: string): Promise<string | null> {
  const looks = needed.map((name, bit) => `command -v ${name} >/dev/null || missing=$((missing + ${2 ** bit}))`);
  const container = await engine.createContainer({
    Image: image,
    Entrypoint: [],
    Cmd: ['/bin/sh', '-c', ['missing=0', ...looks, 'exit $missing'].join('\n')],
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      LogConfig: { Type: 'none', Config: {} },
    },
  });
  try {
    await container.start();
    const { StatusCode } = await container.wait();
    const missing = needed.filter((_, bit) => StatusCode & (2 ** bit));
    return missing.length === 0 ? null : `it has no ${missing.join(', ')}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await removeContainer(container);
  }
}
