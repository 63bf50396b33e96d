import { isAbsolute, join } from 'node:path';
import { modelSocketName } from '../runtimes/runtime.ts';

/** Where a host keeps what it keeps, by kind. */
export interface HostPaths {
  /** One directory for each lease. */
  cells: string;
  worktrees: string;
  artifacts: string;
  /** Bare mirrors of repositories that are given by URL. */
  repositories: string;
  /** One file for each port that is taken. */
  ports: string;
  /** What is being deleted: renamed to here first, so that its name is free at once. */
  trash: string;
  /** Leases that cannot be read, kept for a person to look at. */
  quarantine: string;
  /** Servers that were booted ahead: a record and a directory each. A server stays here when a cell takes it over. */
  warm: string;
  /** What the git repositories of the agents of confined cells are copied from, one for each base. */
  gitTemplates: string;
  /** Holds the random id of this state directory. */
  id: string;
}

/** Where a server that was booted ahead keeps what it owns. */
export interface WarmPaths {
  /** Beside the directory, and not in it: it moves into the directory of the cell that takes the server over. */
  record: string;
  directory: string;
  home: string;
  /** Where the server runs: a directory of its own, in which nothing happens. */
  idle: string;
  /** Where the cell that adopts it has its worktree. A sandbox shows it from the start, so it is here and not where cells have theirs. */
  worktree: string;
  /** The configuration of its server, which is read for each worktree anew. */
  config: string;
  secret: string;
  /** These as in `CellPaths`, where it is confined, of the cell that adopts it. */
  modelSocket: string;
  inlet: string;
  agentGit: string;
  dotGit: string;
  serverLog: string;
}

/** Where one cell keeps what it owns. */
export interface CellPaths {
  /** Mode 700; goes with the lease. */
  directory: string;
  lease: string;
  /** The server's own home. */
  home: string;
  /** The configuration of the server, mode 600, in a directory of its own, which a sandbox can show before the file is there. */
  config: string;
  /** The password of the server, mode 600. */
  secret: string;
  /** What the cell has used of its models, as the gateway counted it. */
  modelLedger: string;
  /** The cell's own way to its models, where it does not share the network of the host. */
  modelSocket: string;
  /** For the socket by which the server of a confined cell is reached; the cell may write there. */
  inlet: string;
  /** For the sockets that lead out of a confined cell while its test command runs; their paths are as short as the others. */
  testOutlet: string;
  /** The git repository of the agent of a confined cell, in a directory of its own for the same reason. */
  agentGit: string;
  /** What stands for `.git` in the worktree of a confined cell. */
  dotGit: string;
  /** The index with which the host writes the cell's tree. */
  index: string;
  /** The tree that a round of the tests judges; the first round is 0. */
  readonly snapshot: (round: number) => string;
  worktree: string;
  /** What stays when the cell is gone, for the time of retention. */
  artifacts: string;
  serverLog: string;
  transcript: string;
  diff: string;
  /** Work that git cannot keep, as files. What is there stands for the work: a revert that finds it removes the worktree. */
  worktreeCopy: string;
  /** Such a copy before it may stand for the work, and one that lacks something while git may yet keep the work. */
  incompleteCopy: string;
  /** The messages of the commits that the agent made itself. */
  agentCommits: string;
  /** Output of one run of the test command; the first round is 0. */
  readonly testOutput: (round: number) => string;
}

/** @throws when `stateDirectory` is not an absolute path */
export function hostPaths(stateDirectory: string): HostPaths {
  if (!isAbsolute(stateDirectory)) throw new Error(`the state directory must be an absolute path: ${stateDirectory}`);
  return {
    cells: join(stateDirectory, 'cells'),
    worktrees: join(stateDirectory, 'worktrees'),
    artifacts: join(stateDirectory, 'artifacts'),
    repositories: join(stateDirectory, 'repositories'),
    ports: join(stateDirectory, 'ports'),
    trash: join(stateDirectory, 'trash'),
    quarantine: join(stateDirectory, 'quarantine'),
    warm: join(stateDirectory, 'warm'),
    gitTemplates: join(stateDirectory, 'git-templates'),
    id: join(stateDirectory, 'id'),
  };
}

/** @throws when `cellId` is not the id of a cell: no path is ever made from anything else */
export function cellPaths(stateDirectory: string, cellId: string): CellPaths {
  if (!isCellId(cellId)) throw new Error(`not the id of a cell: ${JSON.stringify(cellId)}`);
  const host = hostPaths(stateDirectory);
  const directory = join(host.cells, cellId);
  const artifacts = join(host.artifacts, cellId);
  return {
    directory,
    lease: join(directory, 'lease.json'),
    home: join(directory, 'home'),
    config: join(directory, 'config', 'opencode.json'),
    secret: join(directory, 'secret'),
    modelLedger: join(directory, 'model-ledger.jsonl'),
    inlet: join(directory, 'in'),
    testOutlet: join(directory, 'test'),
    agentGit: join(directory, 'agent-git', 'repository'),
    dotGit: join(directory, 'dot-git'),
    modelSocket: join(directory, 'out', modelSocketName),
    index: join(directory, 'index'),
    snapshot: (round) => join(directory, `snapshot-${wholeNumber(round)}.json`),
    worktree: join(host.worktrees, cellId),
    artifacts,
    serverLog: join(artifacts, 'server.log'),
    transcript: join(artifacts, 'transcript.json'),
    diff: join(artifacts, 'changes.diff'),
    worktreeCopy: join(artifacts, 'worktree'),
    incompleteCopy: join(artifacts, 'worktree.incomplete'),
    agentCommits: join(artifacts, 'agent-commits.json'),
    testOutput: (round) => join(artifacts, `test-${wholeNumber(round)}.log`),
  };
}

/** @throws when `id` does not have the form of a cell's id */
export function warmPaths(stateDirectory: string, id: string): WarmPaths {
  if (!isCellId(id)) throw new Error(`not the id of a warm server: ${JSON.stringify(id)}`);
  const { warm, worktrees } = hostPaths(stateDirectory);
  const directory = join(warm, id);
  return {
    record: join(warm, `${id}.json`),
    directory,
    home: join(directory, 'home'),
    idle: join(directory, 'idle'),
    worktree: join(worktrees, id),
    config: join(directory, 'config', 'opencode.json'),
    secret: join(directory, 'secret'),
    modelSocket: join(directory, 'out', modelSocketName),
    inlet: join(directory, 'in'),
    agentGit: join(directory, 'agent-git', 'repository'),
    dotGit: join(directory, 'dot-git'),
    serverLog: join(directory, 'server.log'),
  };
}

/** Whether a string has the form that `cellIdOf` gives. */
export function isCellId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

function wholeNumber(round: number): number {
  if (!Number.isSafeInteger(round) || round < 0) throw new Error(`not a round of a test: ${round}`);
  return round;
}
