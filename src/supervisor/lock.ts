import { once } from 'node:events';
import { createServer } from 'node:net';
import pWaitFor from 'p-wait-for';
import { codeOf } from '../cell/create-file.ts';

/** The state directory has a supervisor already. */
export class SupervisorRunning extends Error {
  override readonly name = 'SupervisorRunning';
}

/** One supervisor for a state directory: the kernel frees the lock when it ends, in whatever way. @throws SupervisorRunning */
export async function acquireSupervisorLock(owner: string, stateDirectory: string): Promise<AsyncDisposable> {
  const lock = await bindName(`agent-cells-supervisor-${owner}`);
  if (lock === null)
    throw new SupervisorRunning(`a supervisor runs on this state directory already: ${stateDirectory}`);
  return lock;
}

/** Held by the watchdog of an owner's cells, until it has ended them all or the process ends. */
export async function acquireWatchdogLock(owner: string): Promise<void> {
  await bindName(watchdogName(owner));
}

/** A watchdog whose supervisor is gone ends cells, and would end new ones too. @throws TimeoutError when it does not come to its end. */
export async function untilNoWatchdog(owner: string): Promise<void> {
  const isGone = async () => {
    const lock = await bindName(watchdogName(owner));
    await lock?.[Symbol.asyncDispose]();
    return lock !== null;
  };
  // It gives up on processes that do not end on SIGKILL after ten seconds.
  await pWaitFor(isGone, { interval: 20, timeout: 15_000 });
}

const watchdogName = (owner: string): string => `agent-cells-watchdog-${owner}`;

/** Binds an abstract socket, which ends with the process that has it; null when another has it. */
async function bindName(name: string): Promise<AsyncDisposable | null> {
  const server = createServer((connection) => connection.destroy());
  try {
    server.listen(`\0${name}`);
    await once(server, 'listening');
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return null;
    throw error;
  }
  server.unref();
  return { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}
