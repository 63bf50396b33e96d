import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Semaphore } from 'async-mutex';
import { createBreaker } from '../cell/breaker.ts';
import type { CellHost } from '../cell/host.ts';
import { stateDirectoryId } from '../cell/hostlock.ts';
import { createLeaseStore } from '../cell/leases.ts';
import type { Config } from '../config.ts';
import type { IsolationName } from '../domain/request.ts';
import type { ModelGateway } from '../gateway/model-gateway.ts';
import { openAudit } from '../journal/audit.ts';
import { writeModels } from '../opencode/models.ts';
import { findRoots } from '../runtimes/found-roots.ts';
import { createProviderGate } from '../providers/provider-gate.ts';
import { type ProbedRuntime, probeRuntimes } from '../runtimes/index.ts';
import type { SupervisorClient } from '../supervisor/client.ts';
import { supervisedGateway } from '../supervisor/supervised-gateway.ts';
import { supervised } from '../supervisor/supervised-runtime.ts';
import type { Logger } from '../telemetry/log.ts';
import { loadTemplates } from '../templates/load.ts';
import { fallbackModel } from '../templates/template.ts';
import { chooseRuntime } from './choose-runtime.ts';
import { readOpencodeConfig } from './opencode-config.ts';

/**
 * Who keeps what cells need while they live. With the supervisor, their processes and their ways to their models outlive this one;
 * with a gateway alone, their processes are children of this one.
 */
export type HostKeeper = { supervisor: SupervisorClient } | { gateway: ModelGateway };

/**
 * Makes what the steps of a cell need of this host, from its settings.
 *
 * @param keeper null for a host that is only looked at
 */
export async function makeHost(config: Config, log: Logger, keeper: HostKeeper | null): Promise<CellHost> {
  const supervisor = keeper !== null && 'supervisor' in keeper ? keeper.supervisor : null;
  await mkdir(config.stateDirectory, { recursive: true, mode: 0o700 });
  const owner = await stateDirectoryId(config.stateDirectory);
  const probed = await probeRuntimes({ owner, ...(await findRoots(config.cgroup)), docker: config.docker });
  const kept = (name: IsolationName): ProbedRuntime =>
    supervisor === null ? probed[name] : { ...probed[name], runtime: supervised(probed[name].runtime, supervisor) };
  const runtimes = { process: kept('process'), bubblewrap: kept('bubblewrap'), docker: kept('docker') };
  const templates = await loadTemplates(config.templates);
  const opencode = await readOpencodeConfig(config.opencodeConfig);
  const models = await writeModels({
    directory: config.stateDirectory,
    base: opencode,
    models: [fallbackModel, ...Object.values(templates).flatMap(({ model }) => model ?? [])],
    providerEnvironment: config.providerEnvironment,
  });
  if (models === null)
    log.warn('the table of models in OpenCode was not found; its servers are larger than they need be');
  return {
    hostId: config.hostId,
    stateDirectory: config.stateDirectory,
    ports: config.ports,
    repository: config.repository,
    repositories: config.repositories,
    defaultRuntime: chooseRuntime(config.runtime, runtimes).name,
    runtimes,
    dockerImage: config.docker.image,
    leases: createLeaseStore(config.stateDirectory),
    templates,
    opencode,
    opencodeFile: config.opencodeConfig,
    models,
    gateway: keeper === null ? null : 'gateway' in keeper ? keeper.gateway : supervisedGateway(keeper.supervisor),
    behindGateway: config.modelGateway,
    providerEnvironment: config.providerEnvironment,
    path: config.path,
    volumes: config.volumes,
    silenceLimitMs: config.silenceLimitMs,
    serverMemory: config.serverMemory,
    cellDisk: config.cellDisk,
    hostLostAfterMs: config.hostLostAfterMs,
    boots: new Semaphore(Math.max(2, availableParallelism())),
    providers: createProviderGate(),
    proven: new Set(),
    warmServers: config.warmServers,
    spawns: createBreaker(),
    closing: new AbortController(),
    log,
    audit: openAudit(config.stateDirectory, {
      by: 'worker',
      lost: (error) => log.error({ error }, 'the audit log could not be written'),
    }),
  };
}
