import { connect } from 'node:net';
import { once } from 'node:events';
import { Connection } from '@temporalio/client';
import waitFor from 'p-wait-for';
import type { SearchAttribute } from './dev-server.ts';

const readyWithinMs = 60_000;
const askEveryMs = 100;

interface Expected {
  address: string;
  namespace: string;
  searchAttributes: readonly SearchAttribute[];
}

/**
 * Waits until the frontend describes the namespace and knows every search attribute of it: an open port is not enough, for a workflow
 * started in the first moments is refused.
 *
 * @throws after a minute, with the last answer as the cause.
 */
export async function waitUntilServing(expected: Expected, signal: AbortSignal): Promise<void> {
  let last: unknown;
  const serving = async () => {
    try {
      return await serves(expected);
    } catch (error) {
      last = error;
      return false;
    }
  };
  try {
    await waitFor(serving, { interval: askEveryMs, timeout: readyWithinMs, signal });
  } catch (cause) {
    signal.throwIfAborted();
    const address = `the Temporal server at ${expected.address}`;
    throw new Error(`${address} did not serve namespace ${expected.namespace} within ${readyWithinMs / 1_000} s`, {
      cause: last ?? cause,
    });
  }
}

async function serves({ address, namespace, searchAttributes }: Expected): Promise<boolean> {
  // A gRPC connection that is refused waits a second before it tries again; the port itself is asked as often as we like.
  await portOpen(address);
  const connection = await Connection.connect({ address, connectTimeout: 1_000 });
  try {
    await connection.workflowService.describeNamespace({ namespace });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return searchAttributes.every(({ name }) => name in customAttributes);
  } finally {
    await connection.close();
  }
}

async function portOpen(address: string): Promise<void> {
  const [host, port] = address.split(':');
  const socket = connect({ host, port: Number(port) });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
