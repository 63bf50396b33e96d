import type { IsolationName } from '../../src/domain/request.ts';
import { buildBaseImage } from '../../src/runtimes/docker/image.ts';
import { startDockerEngine } from './docker-engine.ts';

/**
 * The runtime of the cells in suites that are not about one: `process`, unless `AGENT_CELLS_TEST_RUNTIME` names another, with which the
 * same suites run again.
 */
export const testRuntime = (): string => process.env['AGENT_CELLS_TEST_RUNTIME'] ?? 'process';

/** The settings of a worker whose cells run in that runtime. For `docker` an engine comes with it, which has the base image and ends with the stack. */
export async function runtimeSettings(
  runtime: IsolationName,
  stack: AsyncDisposableStack,
): Promise<Record<string, string>> {
  if (runtime !== 'docker') return { CELLS_RUNTIME: runtime };
  const docker = stack.use(await startDockerEngine());
  await buildBaseImage(docker.engine, () => undefined);
  return { CELLS_RUNTIME: runtime, DOCKER_HOST: docker.host };
}
