import { type RequestFault, faultOfRequest } from '../cell/judge-request.ts';
import { modelOf } from '../cell/keep-lease.ts';
import { goesThroughGateway, routesOf } from '../cell/model-door.ts';
import { hostPaths } from '../cell/paths.ts';
import type { Config } from '../config.ts';
import { branchOf, workflowIdOf, workflowTaskQueue } from '../domain/names.ts';
import type { IsolationName, ParsedCellRequest } from '../domain/request.ts';
import { withoutCredentials } from '../domain/without-credentials.ts';
import { modelLabel } from '../gateway/grant.ts';
import { isUrl, isAllowed } from '../git/allow-list.ts';
import { RepositoryError } from '../git/errors.ts';
import { openRepository, resolveBase } from '../git/repository.ts';
import { findRoots } from '../runtimes/found-roots.ts';
import { probeRuntimes } from '../runtimes/index.ts';
import { findTemplate, loadTemplates } from '../templates/load.ts';
import { chooseRuntime } from '../worker/choose-runtime.ts';
import { readOpencodeConfig } from '../worker/opencode-config.ts';

/** What a request would come to, were it claimed by a worker with the settings of this command. */
export interface Plan {
  /** With every default filled in; durations in milliseconds. */
  request: ParsedCellRequest;
  workflow: { id: string; taskQueue: string };
  host: string;
  /** Null where it cannot be told. */
  runtime: { name: IsolationName; why: string; confines: boolean } | null;
  repository: { location: string | null; baseCommit: string | null; branch: string };
  model: { name: string; route: string; models: string[] } | null;
  limits: { resources: unknown; network: unknown; tokenBudget: number; timeoutMs: number; testTimeoutMs: number };
  /** `<cellId>` is told by the id of the run. */
  paths: { worktree: string; directory: string; artifacts: string };
  ports: { from: number; to: number };
  /** Why this host would refuse it; null when it would not. */
  fault: Omit<RequestFault, 'cause'> | null;
}

/** Plans the cell of a request as a worker of this host would make it, and makes nothing. */
export async function planOf(config: Config, request: ParsedCellRequest, signal: AbortSignal): Promise<Plan> {
  const runtimes = await probeRuntimes({
    owner: 'dry-run',
    ...(await findRoots(config.cgroup)),
    docker: config.docker,
  });
  const choice = chooseRuntime(config.runtime, runtimes);
  const host = {
    ...config,
    templates: await loadTemplates(config.templates),
    runtimes,
    defaultRuntime: choice.name,
    opencode: await readOpencodeConfig(config.opencodeConfig),
    opencodeFile: config.opencodeConfig,
    behindGateway: config.modelGateway,
  };
  const unfit = await faultOfRequest(host, request);
  const known = unfit?.field !== 'agentType';
  const name = request.runtime ?? choice.name;
  const location = request.repository ?? config.repository;
  const base = await baseOf(config, { location, branch: request.branch }, signal);
  const { worktrees, cells, artifacts } = hostPaths(config.stateDirectory);
  return {
    request,
    workflow: { id: workflowIdOf(request), taskQueue: workflowTaskQueue },
    host: config.hostId,
    runtime: {
      name,
      why: request.runtime === undefined ? choice.why : 'the request names it',
      confines: runtimes[name].runtime.confines,
    },
    repository: {
      location: location === null ? null : withoutCredentials(location),
      baseCommit: base.commit,
      branch: branchOf(request),
    },
    model: known ? await modelRoute(host, request, name) : null,
    limits: {
      resources:
        request.resources ?? (known ? findTemplate(host.templates, request.agentType).resources : null) ?? null,
      network: request.network ?? null,
      tokenBudget: request.tokenBudget,
      timeoutMs: request.timeout,
      testTimeoutMs: request.testTimeout,
    },
    paths: {
      worktree: `${worktrees}/<cellId>`,
      directory: `${cells}/<cellId>`,
      artifacts: `${artifacts}/<cellId>`,
    },
    ports: config.ports,
    fault: unfit === null ? base.fault : { field: unfit.field, why: unfit.why },
  };
}

/** By which way the cell reaches its model; the address without credentials, and no header. */
async function modelRoute(
  host: Parameters<typeof routesOf>[0] & Parameters<typeof goesThroughGateway>[0] & Parameters<typeof modelOf>[0],
  request: ParsedCellRequest,
  runtime: IsolationName,
): Promise<NonNullable<Plan['model']>> {
  const name = modelOf(host, request);
  if (!goesThroughGateway(host, runtime))
    return { name, route: 'directly, with the keys of the worker in the cell', models: [] };
  const routes = await routesOf(host, name).catch(() => []);
  const models = routes.flatMap((route) => Object.keys(route.models).map((model) => modelLabel(route.provider, model)));
  const addresses = routes.map(({ baseUrl }) => withoutCredentials(baseUrl));
  return { name, route: `through the gateway of the host to ${addresses.join(', ') || 'nowhere'}`, models };
}

interface Base {
  commit: string | null;
  fault: Plan['fault'];
}

/** A repository that is given by URL is fetched by the cell, and so not looked into here. */
async function baseOf(
  { repositories, stateDirectory }: Config,
  { location, branch }: { location: string | null; branch: string },
  signal: AbortSignal,
): Promise<Base> {
  const refused = (why: string): Base => ({ commit: null, fault: { field: 'repository', why } });
  if (location !== null && isUrl(location)) {
    if (await isAllowed(location, repositories)) return { commit: null, fault: null };
    return refused(`${withoutCredentials(location)} is not a repository that CELLS_REPOSITORIES allows`);
  }
  try {
    const mirrorsDirectory = hostPaths(stateDirectory).repositories;
    const wanted = { repository: location ?? '', allowed: repositories, mirrorsDirectory };
    const { gitDirectory } = await openRepository(wanted, signal);
    return { commit: await resolveBase(gitDirectory, branch, signal), fault: null };
  } catch (error) {
    if (error instanceof RepositoryError) return refused(error.message);
    throw error;
  }
}
