import { randomBytes } from 'node:crypto';
import { access, mkdir } from 'node:fs/promises';
import { confineWarm } from '../../src/cell/confine.ts';
import type { CellHost } from '../../src/cell/host.ts';
import { hostPaths, warmPaths } from '../../src/cell/paths.ts';
import { listPorts } from '../../src/cell/ports.ts';
import { makeSecret } from '../../src/cell/secret.ts';
import { listWarm, type WarmServer, writeWarm } from '../../src/cell/warm-record.ts';
import { profileOf, warmLimits } from '../../src/cell/warm-server.ts';
import { cellMarker } from '../../src/domain/names.ts';
import type { CellHostUnderTest } from './cell-host.ts';
import type { Fleet } from './fleet.ts';
import { processesMarked } from './processes.ts';
import { scrape, valueOf } from './prometheus.ts';
import { waitUntil } from './wait-until.ts';

/** Waits for a server to be booted ahead. */
export async function untilReady(stateDirectory: string): Promise<WarmServer> {
  let ready: WarmServer | undefined;
  await waitUntil(async () => {
    const { records } = await listWarm(stateDirectory);
    ready = records.flatMap(({ record }) => (record?.ready ? [record] : []))[0];
    return ready !== undefined;
  }, 180_000);
  if (ready === undefined) throw new Error('there is no warm server');
  return ready;
}

export const runtimeOf = ({ host }: CellHostUnderTest) => host.runtimes[host.defaultRuntime].runtime;

export async function onlyWarm({ stateDirectory }: CellHostUnderTest): Promise<WarmServer> {
  const { records } = await listWarm(stateDirectory);
  const [first] = records;
  if (records.length !== 1 || !first?.record) throw new Error(`there are ${records.length} warm servers`);
  return first.record;
}

/** As a server that was booted ahead, for tests in which nobody asks it anything: it takes no processor. */
export async function bootStandIn(host: CellHost): Promise<WarmServer> {
  const id = randomBytes(8).toString('hex');
  const { defaultRuntime: runtime } = host;
  const { idle, home, secret, serverLog } = warmPaths(host.stateDirectory, id);
  const record: WarmServer = {
    version: 2,
    id,
    runtime,
    profile: profileOf(host),
    createdAt: Date.now(),
    ready: null,
  };
  await writeWarm(host.stateDirectory, record);
  await Promise.all([idle, home].map((path) => mkdir(path, { recursive: true })));
  const confinement = await confineWarm(host, id, { runtime, limits: warmLimits(host) });
  await makeSecret(secret);
  const command = ['sleep', '600'] as const;
  const spec = { cellId: id, command, directory: idle, env: { PATH: host.path }, logFile: serverLog };
  const server = await host.runtimes[runtime].runtime.start(
    confinement === null ? spec : { ...spec, confinement },
    new AbortController().signal,
  );
  const ready = { server, port: 9, opencode: '1.0.0' };
  await writeWarm(host.stateDirectory, { ...record, ready });
  return { ...record, ready };
}

/** Servers and stand-ins among the processes of that mark; a sandbox consists of more. */
export async function serversOf(mark: string): Promise<{ pid: number }[]> {
  const processes = await processesMarked(cellMarker, mark);
  return processes.filter(({ command }) => /^\S*(opencode\S* serve|sleep 600)/.test(command));
}

/** What is left of a server that was booted ahead. */
export async function remainsOfWarm(stateDirectory: string, id: string): Promise<string[]> {
  const { record, directory, worktree } = warmPaths(stateDirectory, id);
  const found = await Promise.all(
    [record, directory, worktree].map((path) =>
      access(path).then(
        () => [path],
        () => [],
      ),
    ),
  );
  const processes = await processesMarked(cellMarker, id);
  const ports = (await listPorts(hostPaths(stateDirectory).ports)).filter(({ cellId }) => cellId === id);
  return [
    ...found.flat(),
    ...ports.map(({ port }) => `port ${port}`),
    ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
  ];
}

/** How many cells of a worker have begun so. */
export async function spawnedBy({ metricsUrl }: Fleet, start: 'warm' | 'cold'): Promise<number> {
  return valueOf(await scrape(metricsUrl), 'cells_spawned_total', { start }) ?? 0;
}
