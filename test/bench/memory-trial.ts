/**
 * What a setting of OpenCode or of its engine costs and saves: one server for each, one prompt that edits a file and calls five
 * more tools. `node scripts/bootstrap.mjs test/bench/memory-trial.ts [--runs N] [--json file] [setting …]`.
 * Processor time and memory hardly depend on what else the machine does; times would, and are not measured.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startScriptedModel } from '../../src/scripted-model/server.ts';
import { temporaryRepository } from '../support/temporary-repository.ts';
import { type Trial, tryOut } from './memory-trial/try-out.ts';
import { type Setting, settings } from './memory-trial/settings.ts';
import { type SettingResult, trialTable } from './memory-trial/table.ts';
import { renderTerminal } from './render.ts';
import { abortAtSignals } from '../../src/cli/abort-at-signals.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '2' }, json: { type: 'string' } },
});

async function main(names: readonly string[], runs: number, signal: AbortSignal): Promise<number> {
  const unknown = names.filter((name) => !settings.some((setting) => setting.name === name));
  if (unknown.length > 0) {
    console.error(`unknown: ${unknown.join(', ')}; there are ${settings.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const chosen = settings.filter(({ name }) => names.length === 0 || names.includes(name));
  await using model = await startScriptedModel({ file: new URL('bench.yaml', import.meta.url).pathname });
  const results: SettingResult[] = chosen.map(({ name, what }) => ({
    name,
    what,
    trials: [],
  }));
  // Round after round, not setting after setting: what changes on the machine meanwhile meets all of them.
  for (let run = 0; run < runs; run += 1) {
    for (const setting of chosen) {
      if (signal.aborted) break;
      const trial = await tryOne(setting, model.url, signal);
      if (trial !== null) results.find(({ name }) => name === setting.name)?.trials.push(trial);
    }
  }
  console.log(renderTerminal(trialTable(results)));
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results, null, 1)}\n`);
  return signal.aborted ? 130 : 0;
}

async function tryOne(setting: Setting, modelUrl: string, signal: AbortSignal): Promise<Trial | null> {
  await using repository = await temporaryRepository({ 'src/answer.txt': 'wrong\n', 'README.md': '# A repository\n' });
  try {
    const trial = await tryOut(setting, { modelUrl, worktree: repository.path }, signal);
    console.error(`${setting.name}: ${JSON.stringify(trial)}`);
    return trial;
  } catch (error) {
    if (!signal.aborted) console.error(`${setting.name}: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

process.exitCode = await main(positionals, Number(values.runs), abortAtSignals('SIGINT', 'SIGTERM', 'SIGHUP'));
