import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { opencodeBinary } from '../../../src/opencode/binary.ts';
import { prepareHome } from '../../../src/opencode/profile.ts';
import { startScriptedModel } from '../../../src/scripted-model/server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type TemporaryRepository, temporaryRepository } from '../../support/temporary-repository.ts';
import { type Changes, bareEnvironment } from '../bare-server.ts';
import type { FloorFigures } from '../results.ts';
import type { Stage } from '../stage.ts';
import { distribution } from '../statistics.ts';
import { testCommand } from './request.ts';

const script = fileURLToPath(new URL('floor.sh', import.meta.url));
const scripts = fileURLToPath(new URL('../bench.yaml', import.meta.url));

/**
 * OpenCode as it comes, but for what would reach for the network: a bench of that would measure the registry. Its snapshots
 * and plugins are on, it knows all models, and its engine has no options.
 */
const asItComes: Changes = {
  env: Object.fromEntries(
    [
      'BUN_JSC_useEagerCodeBlockJettisonTiming',
      'BUN_JSC_useDFGJIT',
      'BUN_JSC_heapGrowthMaxIncrease',
      'BUN_JSC_thresholdForJITAfterWarmUp',
      'OPENCODE_DISABLE_PROJECT_CONFIG',
      'OPENCODE_DISABLE_CLAUDE_CODE',
      'OPENCODE_DISABLE_EXTERNAL_SKILLS',
      'OPENCODE_DISABLE_DEFAULT_PLUGINS',
      'OPENCODE_PURE',
      'OPENCODE_MODELS_PATH',
      'OPENCODE_DISABLE_FFF',
      'OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER',
    ].map((name) => [name, null]),
  ),
  config: { snapshot: true },
};

/** A loop of `git worktree add`, `opencode run`, test and commit, one round after the other; once as cells start OpenCode, once as it comes. */
export async function runFloor(stage: Stage, repeats: number): Promise<FloorFigures> {
  await using directory = await temporaryDirectory();
  await using repository = await temporaryRepository({ 'src/answer.txt': 'wrong\n', 'README.md': '# A repository\n' });
  await using model = await startScriptedModel({ file: scripts });
  const kinds = { lean: {}, plain: asItComes };
  const rounds: Record<keyof typeof kinds, Round[]> = { lean: [], plain: [] };
  for (let index = 0; index < repeats; index += 1) {
    stage.say(`plain loop, ${index + 1} of ${repeats}`);
    for (const kind of ['lean', 'plain'] as const) {
      const place = { directory: join(directory.path, `${kind}-${index}`), branch: `${kind}/${index}`, repository };
      rounds[kind].push(await oneRound(place, { modelUrl: model.url, changes: kinds[kind] }, stage.signal));
    }
  }
  const figures = (kind: keyof typeof kinds) => ({
    cpu: distribution(rounds[kind].map(({ cpu }) => cpu)),
    wall: distribution(rounds[kind].map(({ wall }) => wall)),
  });
  return { lean: figures('lean'), plain: figures('plain') };
}

/** Seconds. */
interface Round {
  cpu: number;
  wall: number;
}

async function oneRound(
  place: { directory: string; branch: string; repository: TemporaryRepository },
  { modelUrl, changes }: { modelUrl: string; changes: Changes },
  signal: AbortSignal,
): Promise<Round> {
  const { directory, branch, repository } = place;
  const [home, worktree] = [join(directory, 'home'), join(directory, 'worktree')];
  await mkdir(directory);
  await prepareHome(home);
  const env = await bareEnvironment({ modelUrl, worktree, home, password: 'not used' }, changes);
  const started = performance.now();
  const words = [script, repository.path, worktree, branch, 'Do it. [script: edit]', testCommand];
  const { stdout } = await execa('bash', words, {
    cwd: directory,
    extendEnv: false,
    env: { ...env, OPENCODE: opencodeBinary },
    stdin: 'ignore',
    cancelSignal: signal,
  });
  const wall = (performance.now() - started) / 1000;
  await rm(directory, { recursive: true, force: true });
  const commits = await repository.git('rev-list', '--count', `main..${branch}`);
  if (commits !== '1') throw new Error(`the plain loop made ${commits} commits on ${branch}`);
  return { cpu: secondsIn(stdout), wall };
}

/** What bash's `times` prints: of itself, then of its children; user time, then the system's. */
function secondsIn(times: string): number {
  const pieces = [...times.matchAll(/(\d+)m([\d.]+)s/g)].slice(-4);
  return pieces.reduce((total, [, minutes, seconds]) => total + Number(minutes) * 60 + Number(seconds), 0);
}
