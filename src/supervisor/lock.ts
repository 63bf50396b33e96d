import { once } from 'node:events';
import { createServer } from 'node:net';
import { codeOf } from '../cell/create-file.ts';

/** The state directory has a supervisor already. */
export class SupervisorRunning extends Error {
  override readonly name = 'SupervisorRunning';
}

/** One supervisor for a state directory: the kernel frees the lock when it ends, in whatever way. @throws SupervisorRunning */
export async function acquireSupervisorLock(owner: string, stateDirectory: string): Promise<AsyncDisposable> {
  const server = createServer((connection) => connection.destroy());
  try {
    server.listen(`\0agent-cells-supervisor-${owner}`);
    await once(server, 'listening');
  } catch (cause) {
    if (codeOf(cause) !== 'EADDRINUSE') throw cause;
    throw new SupervisorRunning(`a supervisor runs on this state directory already: ${stateDirectory}`, { cause });
  }
  server.unref();
  return { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}
