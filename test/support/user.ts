import { readdir } from 'node:fs/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import waitFor from 'p-wait-for';
import { defaultCacheDirectory } from '../../src/temporal/temporal-cli.ts';
import { runningProcesses } from './processes.ts';
import { testRun } from './run.ts';

/**
 * The environment of a user with a home of their own, in which all that is not kept on purpose can be looked for.
 * The cache is the real one, so that nothing is fetched again.
 */
export function userIn(home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    TMPDIR: home,
    XDG_CACHE_HOME: dirname(defaultCacheDirectory()),
    XDG_STATE_HOME: join(home, 'state'),
    CELLS_WARM: '0',
    CELLS_METRICS_ADDRESS: '127.0.0.1:0',
    CELLS_LOG_FORMAT: 'json',
    AGENT_CELLS_TEST_RUN: testRun(),
  };
}

/** What a user still has after fifteen seconds for ending: processes by their commands, and temporary directories. */
export async function remainsOf(home: string): Promise<string[]> {
  let left: string[] = [];
  const looked = async () => {
    left = [...(await processesOf(home)), ...(await readdir(home)).filter((name) => name.startsWith('agent-cells'))];
    return left.length === 0;
  };
  await waitFor(looked, { interval: 200, timeout: 15_000 }).catch(() => undefined);
  return left;
}

/** The processes that such a user still has after half a minute. What was killed leaves its temporary directory. */
export async function processesLeft(home: string): Promise<string[]> {
  let left: string[] = [];
  const ended = async () => (left = await processesOf(home)).length === 0;
  await waitFor(ended, { interval: 200, timeout: 30_000 }).catch(() => undefined);
  return left;
}

/** Whatever such a user started has a home, or a state directory, in there. */
async function processesOf(home: string): Promise<string[]> {
  const processes = await runningProcesses();
  return processes
    .filter(({ environment }) => environment.some((entry) => entry.includes(home)))
    .map(({ pid, command }) => `process ${pid}: ${command.slice(0, 120)}`);
}

/** Whether something listens on an address such as `127.0.0.1:7233`. */
export async function accepts(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
