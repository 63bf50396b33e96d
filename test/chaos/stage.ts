import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectSupervisor } from '../../src/supervisor/client.ts';
import { type Fleet, bringUpFleet } from '../support/bring-up-fleet.ts';
import type { FleetHost } from '../support/fleet-host.ts';
import { scrape } from '../support/prometheus.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryRepository } from '../support/temporary-repository.ts';
import { type Gatekeeper, startGatekeeper } from './gates.ts';
import type { Setting } from './pair.ts';
import { repositoryTemplate } from './repository.ts';
import { settings } from './settings.ts';
import type { ChaosTemporal } from './temporal.ts';

const scripts = fileURLToPath(new URL('../fixtures/scripts/chaos.yaml', import.meta.url));

/** A fleet that faults are let loose on. */
export interface Stage extends AsyncDisposable {
  /** Aborts when the run is interrupted: then every wait ends, and nothing more is struck or looked at. */
  signal: AbortSignal;
  fleet: Fleet;
  temporal: ChaosTemporal;
  gatekeeper: Gatekeeper;
  /** Of this fleet alone. */
  directory: string;
  repositories: { template: TemporaryRepository; directory: string };
  /** The fleet's own host first. */
  hosts: readonly FleetHost[];
  /** Brings up one more host, which then shares the cells. */
  addHost(): Promise<FleetHost>;
  /** How many cells the workers have counted as ended, those that were killed meanwhile included. */
  counted(): Promise<number>;
  /** Kills the worker of the first host; what it has counted is noted before. */
  killWorker(): Promise<void>;
  /** Ends that worker politely, and answers its exit code. */
  stopWorker(): Promise<number | null>;
  supervisorPid(): Promise<number>;
}

/** Brings up a worker in a setting. */
export async function openStage(temporal: ChaosTemporal, setting: Setting, signal: AbortSignal): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory());
  const template = stack.use(await repositoryTemplate());
  const directory = join(path, 'repositories');
  await mkdir(directory);
  const gatekeeper = stack.use(await startGatekeeper());
  const env = await settings[setting](path, stack);
  const fleet = stack.use(
    await bringUpFleet({
      scripts,
      temporalAddress: temporal.address,
      // Ctrl-C is for this program, which then ends its workers in order.
      detached: true,
      env: { TEMPORAL_ADDRESS: temporal.way.address, CELLS_REPOSITORIES: directory, ...env },
    }),
  );
  let counted = 0;
  const hosts: FleetHost[] = [fleet];
  const countedBy = async ({ metricsUrl }: FleetHost) => {
    const samples = await scrape(metricsUrl);
    const ended = samples.filter(({ name }) => name === 'cells_completed_total' || name === 'cells_failed_total');
    return ended.reduce((sum, { value }) => sum + value, 0);
  };
  const end = async (signal: NodeJS.Signals) => {
    counted += await countedBy(fleet);
    return fleet.worker.end(signal);
  };
  const owned = stack.move();
  return {
    signal,
    fleet,
    temporal,
    gatekeeper,
    directory: path,
    repositories: { template, directory },
    hosts,
    async addHost() {
      const host = await fleet.addHost();
      hosts.push(host);
      return host;
    },
    counted: async () => (await Promise.all(hosts.map(countedBy))).reduce((sum, one) => sum + one, counted),
    killWorker: async () => void (await end('SIGKILL')),
    stopWorker: () => end('SIGTERM'),
    async supervisorPid() {
      await using supervisor = await connectSupervisor(fleet.stateDirectory);
      return (await supervisor.info()).pid;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
