import type { Client } from '@temporalio/client';
import type { Config } from '../../config.ts';
import { claimTaskQueue, hostTaskQueue, workflowTaskQueue } from '../../domain/names.ts';
import { requiredSearchAttributes } from '../../domain/search-attributes.ts';
import { connectTemporal, temporalTarget, type TemporalTarget } from '../../temporal/connection.ts';
import { check, ok, problem, warning, type Check, type Finding } from './check.ts';

/** What Temporal has: a server, the namespace, the search attributes, and workers. */
export async function temporalChecks(config: Config): Promise<Check[]> {
  let unreachable: unknown;
  try {
    const target = temporalTarget(config.temporal);
    await using temporal = await connectTemporal(target);
    const { client } = temporal;
    return await Promise.all([
      check('Temporal', () => server(client, target)),
      check('search attributes', () => searchAttributes(client, target)),
      check('workers', () => workers(client, config)),
    ]);
  } catch (error) {
    unreachable = error;
  }
  return [await check('Temporal', () => Promise.reject(unreachable))];
}

async function server(client: Client, { address, namespace }: TemporalTarget): Promise<Finding> {
  const { serverVersion } = await client.workflowService.getSystemInfo({});
  try {
    await client.workflowService.describeNamespace({ namespace });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return problem(
      `${address} does not serve the namespace ${namespace} (${message})`,
      `set TEMPORAL_NAMESPACE, or: temporal operator namespace create ${namespace}`,
    );
  }
  return ok(`server ${serverVersion} at ${address}, namespace ${namespace}`);
}

async function searchAttributes(client: Client, { address, namespace }: TemporalTarget): Promise<Finding> {
  const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
  const registered = customAttributes ?? {};
  const missing = requiredSearchAttributes.filter(({ name }) => !(name in registered));
  const wrong = requiredSearchAttributes.filter(
    ({ name, type }) => name in registered && registered[name] !== numbers[type],
  );
  if (missing.length > 0) {
    const flags = missing.map(({ name, type }) => `--name ${name} --type ${type}`).join(' ');
    return problem(
      `not registered: ${missing.map(({ name }) => name).join(', ')}`,
      `temporal operator search-attribute create --address ${address} --namespace ${namespace} ${flags}`,
    );
  }
  if (wrong.length > 0) {
    const names = wrong.map(({ name, type }) => `${name} (should be ${type})`).join(', ');
    return problem(
      `of another type: ${names}`,
      'remove them with `temporal operator search-attribute remove` and create them again, or use another namespace',
    );
  }
  return ok(`all ${requiredSearchAttributes.length} registered`);
}

/** The server's numbers for the types. */
const numbers = { Keyword: 2, Int: 3 } as const;

async function workers(client: Client, { hostId }: Config): Promise<Finding> {
  const queues = { workflows: workflowTaskQueue, claims: claimTaskQueue, 'this host': hostTaskQueue(hostId) };
  const counts = await Promise.all(
    Object.entries(queues).map(async ([name, queue]) => ({
      name,
      queue,
      pollers: await pollersOf(client, queue, name === 'workflows' ? 1 : 2),
    })),
  );
  const detail = counts.map(({ name, pollers }) => `${name} ${pollers}`).join(', ');
  const idle = counts.filter(({ pollers }) => pollers === 0);
  if (idle.length === 0) return ok(`polling for ${detail}`);
  return warning(
    `polling for ${detail}: nobody serves ${idle.map(({ queue }) => queue).join(', ')}`,
    'start one with `cells worker`, or all at once with `cells dev`',
  );
}

/** `type` is the server's number: 1 for workflows, 2 for activities. */
async function pollersOf(client: Client, queue: string, type: 1 | 2): Promise<number> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: type,
  });
  return pollers?.length ?? 0;
}
