import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger } from '@temporalio/worker';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { ClaimActivities, ClaimedCell, HostActivities, SpawnedCell } from '../../activities/contract.ts';
import { createClaimActivities, createHostActivities } from '../../activities/index.ts';
import type { CellHost } from '../../src/cell/host.ts';
import { stateDirectoryId } from '../../src/cell/hostlock.ts';
import { cellPaths } from '../../src/cell/paths.ts';
import { teardownCell } from '../../src/cell/teardown.ts';
import { readConfig } from '../../src/config.ts';
import { type CellRequest, parseCellRequest, type ParsedCellRequest } from '../../src/domain/request.ts';
import { type Gateway, createGateway } from '../../src/gateway/gateway.ts';
import type { ModelGateway } from '../../src/gateway/model-gateway.ts';
import { groupName, groupsIn } from '../../src/runtimes/cgroup.ts';
import { findGroupRoot } from '../../src/runtimes/cgroup-root.ts';
import { limitDirectories } from '../../src/runtimes/limit-groups.ts';
import { findLimitRoot } from '../../src/runtimes/limit-root.ts';
import { opencodeProvider, scriptedModelId } from '../../src/scripted-model/opencode-provider.ts';
import { type ScriptedModel, startScriptedModel } from '../../src/scripted-model/server.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { makeHost } from '../../src/worker/make-host.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { testRuntime } from './test-runtime.ts';
import { type TemporaryRepository, temporaryRepository } from './temporary-repository.ts';
import { waitUntil } from './wait-until.ts';

export interface CellHostOptions {
  /** Settings on top of those of the test. */
  env?: Record<string, string>;
  /** Files of the repository's first commit. */
  files?: Record<string, string>;
  /** What the operator's OpenCode configuration holds besides the scripted model. */
  opencode?: object;
  /** Where the host keeps what it keeps. Default: a directory of its own, which is removed */
  stateDirectory?: string;
}

/** The steps of a cell, each run as Temporal would run it, and without Temporal. */
export type Steps = ClaimActivities & HostActivities;

/** A host without a worker: its steps can be run one by one. Disposing of it tears down what its cells still hold. */
export interface CellHostUnderTest extends AsyncDisposable {
  host: CellHost;
  steps: Steps;
  repository: TemporaryRepository;
  model: ScriptedModel;
  stateDirectory: string;
  /** The same host as another worker process would see it: nothing is shared but the disk. */
  afterRestart(): Promise<{ host: CellHost; steps: Steps }>;
  /** Claims a place and spawns the cell. */
  spawn(request?: Partial<CellRequest>): Promise<SpawnedCell & { request: ParsedCellRequest; claimed: ClaimedCell }>;
}

const suite = fileURLToPath(new URL('../fixtures/scripts/suite.yaml', import.meta.url));

let runs = 0;

export async function startCellHost(options: CellHostOptions = {}): Promise<CellHostUnderTest> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const repository = stack.use(await temporaryRepository(options.files));
  const model = stack.use(await startScriptedModel({ file: suite }));
  const stateDirectory = options.stateDirectory ?? join(directory.path, 'state');
  const opencodeConfig = join(directory.path, 'opencode.json');
  await writeFile(
    opencodeConfig,
    JSON.stringify({ ...opencodeProvider(model.url), model: scriptedModelId, ...options.opencode }),
  );
  const env = {
    PATH: process.env['PATH'],
    CELLS_HOST_ID: 'host',
    CELLS_STATE_DIR: stateDirectory,
    CELLS_REPOSITORY: repository.path,
    CELLS_OPENCODE_CONFIG: opencodeConfig,
    CELLS_RUNTIME: testRuntime(),
    ...options.env,
  };
  const gateway = stack.use(createGateway({ ledgerOf: (cellId) => cellPaths(stateDirectory, cellId).modelLedger }));
  const open = async () => {
    const log = createLogger({ level: 'silent', format: 'json' });
    const host = await makeHost(readConfig(env, { dotenv: null }), log, { gateway: gatewayHere(gateway) });
    return { host, steps: stepsOf(host) };
  };
  const { host, steps } = await open();
  stack.defer(() => untilGroupsGone(stateDirectory));
  stack.defer(() => tearDownAll(host));
  const owned = stack.move();
  return {
    host,
    steps,
    repository,
    model,
    stateDirectory,
    afterRestart: open,
    async spawn(given = {}) {
      const request = requestOf(given);
      const owner = ownerOf(request);
      const claimed = await steps.claimHost({ owner, request });
      return { ...(await steps.spawnCell({ owner, cellId: claimed.cellId, request })), request, claimed };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A parsed request with what every request needs. */
export function requestOf(given: Partial<CellRequest> = {}): ParsedCellRequest {
  const parsed = parseCellRequest({ taskId: 'task', agentId: 'agent', prompt: 'Do it.', ...given });
  if (parsed.ok) return parsed.request;
  throw new Error(parsed.message);
}

/** Another run for each call. */
export function ownerOf({ taskId, agentId }: ParsedCellRequest) {
  return { workflowId: `cell/${taskId}/${agentId}`, runId: `run-${(runs += 1)}`, agentId, taskId, respawn: 0 };
}

/** The gateway of this process as the steps of a cell see it: what a supervisor is elsewhere. */
function gatewayHere(gateway: Gateway): ModelGateway {
  return {
    open: (grant) => gateway.open(grant),
    extend: (cellId, tokenBudget) => Promise.resolve(gateway.extend(cellId, tokenBudget)),
    account: (cellId) => Promise.resolve(gateway.accounts().find((account) => account.cellId === cellId) ?? null),
    close: (cellId) => gateway.close(cellId),
    state: () => Promise.resolve({ accounts: gateway.accounts(), models: gateway.figures() }),
  };
}

function stepsOf(host: CellHost): Steps {
  const claims = createClaimActivities(host);
  const steps = createHostActivities(host);
  return {
    claimHost: asActivity(claims.claimHost),
    spawnCell: asActivity(steps.spawnCell),
    reviveCell: asActivity(steps.reviveCell),
    executePrompt: asActivity(steps.executePrompt),
    runTests: asActivity(steps.runTests),
    commitWork: asActivity(steps.commitWork),
    revertWork: asActivity(steps.revertWork),
    teardownCell: asActivity(steps.teardownCell),
    promptAgent: asActivity(steps.promptAgent),
    extendBudget: asActivity(steps.extendBudget),
  };
}

const asActivity =
  <Input, Output>(step: (input: Input) => Promise<Output>) =>
  (input: Input): Promise<Output> =>
    activityEnvironment().run(step, input);

/** One attempt of one activity, which can be cancelled. It belongs to no workflow that could be told of progress. */
export function activityEnvironment(): MockActivityEnvironment {
  const environment = new MockActivityEnvironment(
    { inWorkflow: false },
    { logger: new DefaultLogger('ERROR', () => undefined) },
  );
  Reflect.deleteProperty(environment.context.info, 'workflowExecution');
  return environment;
}

async function tearDownAll(host: CellHost): Promise<void> {
  const { leases, unreadable } = await host.leases.list();
  for (const { cellId } of [...leases, ...unreadable]) await teardownCell(host, cellId);
}

/** A runtime removes control groups behind the teardown, and what a process of the tests has begun ends with it. */
async function untilGroupsGone(stateDirectory: string): Promise<void> {
  const groups = await findGroupRoot();
  const { root: limits } = await findLimitRoot(groups);
  const name = groupName(await stateDirectoryId(stateDirectory));
  const roots = [groups.root ?? [], limitDirectories(limits)].flat();
  await waitUntil(async () => (await Promise.all(roots.map(groupsIn))).every((names) => !names.includes(name)));
}
