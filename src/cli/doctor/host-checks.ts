import { access, constants, mkdir, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { execa } from 'execa';
import { isPortFree } from '../../cell/ports.ts';
import { listWarm } from '../../cell/warm-record.ts';
import type { Config } from '../../config.ts';
import { opencodeBinary, opencodeVersion } from '../../opencode/binary.ts';
import { readMemory } from '../../worker/admission/memory.ts';
import { loadObservedNeeds } from '../../worker/admission/observed-needs.ts';
import { numberWord } from '../words.ts';
import { check, ok, problem, warning, type Check, type Finding } from './check.ts';
import { providers } from './provider-check.ts';

/** What this machine has: programs, ports, disk and memory. */
export async function hostChecks(config: Config): Promise<Check[]> {
  return await Promise.all([
    check('Node', node),
    check('git', git),
    check('OpenCode', opencode),
    check('ports', () => ports(config)),
    check('state directory', () => stateDirectory(config)),
    check('disk', () => disk(config)),
    check('memory', () => memory(config)),
    check('providers', () => providers(config)),
    check('warm servers', () => warmServers(config)),
  ]);
}

const gigabyte = 1024 ** 3;

function node(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= 24) return ok(`v${process.versions.node}`);
  return problem(
    `v${process.versions.node}`,
    'run it by `npx cells` or an npm script: the project brings Node 24 along',
  );
}

async function git(): Promise<Finding> {
  const { stdout } = await execa('git', ['--version'], { reject: false, timeout: 10_000, stdin: 'ignore' });
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  if (major === undefined) return problem('not found on the PATH', 'install git 2.34 or newer');
  const recent = Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 34);
  return recent ? ok(stdout) : problem(stdout, 'install git 2.34 or newer');
}

async function opencode(): Promise<Finding> {
  const { stdout, failed } = await execa(opencodeBinary, ['--version'], {
    reject: false,
    timeout: 30_000,
    stdin: 'ignore',
  });
  if (failed) return problem(`${opencodeBinary} does not run`, 'install the dependencies again: npm ci');
  const version = stdout.trim();
  if (version !== opencodeVersion)
    return warning(`${version}, not ${opencodeVersion}`, 'install the dependencies again: npm ci');
  return ok(version);
}

async function ports({ ports: range, capacity }: Config): Promise<Finding> {
  let free = 0;
  for (let port = range.from; port <= range.to; port += 1) if (await isPortFree(port)) free += 1;
  const detail = `${free} of ${range.to - range.from + 1} free in ${range.from}-${range.to}`;
  const hint = 'set CELLS_PORTS to a wider range, or CELLS_CAPACITY to fewer cells';
  if (free === 0) return problem(detail, hint);
  return free < capacity ? warning(`${detail}, and CELLS_CAPACITY is ${capacity}`, hint) : ok(detail);
}

async function stateDirectory({ stateDirectory: directory }: Config): Promise<Finding> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await access(directory, constants.W_OK | constants.X_OK);
  return ok(directory);
}

async function disk({ stateDirectory: directory }: Config): Promise<Finding> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { bavail, bsize } = await statfs(directory);
  const free = (bavail * bsize) / gigabyte;
  const detail = `${free.toFixed(1)} GB free under ${directory}`;
  const hint = 'free some, or set CELLS_STATE_DIR to a larger disk';
  if (free < 1) return problem(detail, hint);
  return free < 5 ? warning(detail, hint) : ok(detail);
}

async function memory({ capacity, stateDirectory: directory }: Config): Promise<Finding> {
  const { total, available } = await readMemory();
  const need = (await loadObservedNeeds(directory)).nextMemory();
  const room = Math.floor(available / need);
  const detail = `${(available / gigabyte).toFixed(1)} of ${(total / gigabyte).toFixed(1)} GB free, ${availableParallelism()} processors: room for about ${numberWord(room)} cells of ${Math.round(need / 1024 ** 2)} MB`;
  return room < capacity
    ? warning(`${detail}, and CELLS_CAPACITY is ${capacity}`, `set CELLS_CAPACITY to ${Math.max(1, room)} or less`)
    : ok(detail);
}

async function warmServers({ stateDirectory: directory, warmServers: wanted }: Config): Promise<Finding> {
  if (wanted === 0) return ok('none are kept: CELLS_WARM is 0');
  const { records } = await listWarm(directory);
  const ready = records.filter(({ record }) => record?.ready).length;
  const why = ready < wanted ? '; the worker boots more while no cell is being made and memory is free' : '';
  return ok(`${ready} of ${wanted} wait for a cell${why}`);
}
