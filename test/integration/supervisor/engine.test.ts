import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type Server, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { socketOf } from '../../../src/supervisor/protocol.ts';
import { isRunning } from '../../support/processes.ts';
import { endSupervisor } from '../../support/supervised-cell.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

const main = fileURLToPath(new URL('../../../src/supervisor/main.ts', import.meta.url));

/** Root opens whatever it likes, unless it has this capability no more. */
const asMereOwner = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override', '--'] : [];

test.for([
  ['fails', () => createHttpServer((_, response) => response.writeHead(500).end('{"message":"no"}')), 0o600],
  ['never answers', () => createServer(), 0o600],
  ['may not be asked by this user', () => createServer(), 0],
] as const)('a supervisor serves its workers beside an engine of Docker that %s', async ([, engineOf, mode]) => {
  await using directory = await temporaryDirectory();
  const engine = engineOf() as Server;
  const socket = join(directory.path, 'engine.sock');
  engine.listen(socket);
  await once(engine, 'listening');
  await chmod(socket, mode);
  const stateDirectory = join(directory.path, 'state');
  const docker = { host: `unix://${socket}`, image: null, project: 'project' };
  const options = JSON.stringify({ stateDirectory, docker });
  const [program, ...words] = [...asMereOwner, process.execPath, main, options];
  const supervisor = spawn(program, words, { stdio: 'ignore', detached: true });
  try {
    await waitUntil(() => existsSync(socketOf(stateDirectory)));
    await using client = await connectSupervisor(stateDirectory, { docker });
    expect((await client.info()).pid).toBe(supervisor.pid);
    // It looks every second, by a timer of its own that tells nobody: nothing else says that it has looked.
    const { startedAt } = await client.info();
    await waitUntil(() => Date.now() > startedAt + 2_500);
    expect(await client.info()).toMatchObject({ pid: supervisor.pid, cells: [] });
    if (mode === 0) {
      const destroyed = client.call('/destroy', { runtime: 'docker', cellId: '0123456789abcdef' });
      await expect(destroyed, 'nobody has seen that it is gone').rejects.toThrow('EACCES');
    }
    await endSupervisor(client);
    expect(await isRunning(supervisor.pid ?? 0)).toBe(false);
  } finally {
    supervisor.kill('SIGKILL');
    engine.close();
  }
});
