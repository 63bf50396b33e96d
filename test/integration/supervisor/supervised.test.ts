import { once } from 'node:events';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { afterAll } from 'vitest';
import { findGroupRoot } from '../../../src/runtimes/cgroup-root.ts';
import { version } from '../../../src/domain/version.ts';
import { createGateway } from '../../../src/gateway/gateway.ts';
import { createProcessRuntime } from '../../../src/runtimes/process.ts';
import type { CellRuntime } from '../../../src/runtimes/runtime.ts';
import { createApi } from '../../../src/supervisor/api.ts';
import { type SupervisorClient, connectSupervisor } from '../../../src/supervisor/client.ts';
import { apiVersion, socketOf } from '../../../src/supervisor/protocol.ts';
import { supervised } from '../../../src/supervisor/supervised-runtime.ts';
import { runtimeContract } from '../../contracts/runtime.contract.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const servers = new AsyncDisposableStack();
afterAll(() => servers.disposeAsync());

const groupRoot = await findGroupRoot();

/** Puts the API of the supervisor, and its socket, between the suite and the runtime. */
runtimeContract({
  name: 'process',
  create(options) {
    const runtime = createProcessRuntime({ ...options, groupRoot });
    const client = serve(runtime);
    return supervised(runtime, {
      call: async (path, body) => (await client).call(path, body),
      callUntil: async (path, body, signal) => (await client).callUntil(path, body, signal),
    });
  },
  unpromised: {
    confinement: 'the process runtime separates by convention and does not confine',
    ...(groupRoot.root === null ? { groups: groupRoot.why } : {}),
  },
});

async function serve(runtime: CellRuntime): Promise<SupervisorClient> {
  const directory = servers.use(await temporaryDirectory());
  const info = () =>
    Promise.resolve({ apiVersion, version, pid: process.pid, startedAt: Date.now(), cells: [], workers: 0 });
  const gateway = servers.use(createGateway({ ledgerOf: () => join(directory.path, 'ledger') }));
  const api = createApi({
    // One at a time is under test, whatever its name.
    runtimes: { process: runtime, bubblewrap: runtime, docker: runtime },
    gateway,
    closeDoor: gateway.close,
    info,
    attached: () => () => undefined,
    stop: () => undefined,
  });
  const server = createAdaptorServer({ fetch: api.fetch }) as Server; // its HTTP/1 form, which is the default
  server.listen(socketOf(directory.path));
  await once(server, 'listening');
  servers.defer(() => new Promise<void>((resolve) => server.close(() => resolve())));
  servers.defer(() => server.closeAllConnections());
  return servers.use(await connectSupervisor(directory.path));
}
