import { once } from 'node:events';
import type { Command } from 'commander';
import { opencodeProvider, scriptedModelId } from '../../scripted-model/opencode-provider.ts';
import { startScriptedModel } from '../../scripted-model/server.ts';
import type { Cli } from '../cli.ts';
import { portFrom } from '../port.ts';

interface ScriptedModelFlags {
  script: string;
  port: string;
  json?: true;
}

/** `cells scripted-model`: an OpenAI-compatible server that plays a script, for tests and demonstrations. */
export function define(command: Command, cli: Cli): void {
  command
    .requiredOption('-s, --script <file>', 'scripts as YAML; docs/scripted-model.md explains them')
    .option('-p, --port <port>', 'port on 127.0.0.1; 0 for any free one', '0')
    .option('--json', 'print the address as JSON')
    .action((flags: ScriptedModelFlags) => serve(flags, cli));
}

async function serve({ script, port, json }: ScriptedModelFlags, cli: Cli): Promise<void> {
  const signal = cli.interruption();
  await using model = await startScriptedModel({ file: script, port: portFrom(port), signal });
  if (json)
    cli.print(JSON.stringify({ url: model.url, port: model.port, model: scriptedModelId, scripts: model.scripts }));
  else {
    cli.print(`${scriptedModelId} plays ${model.scripts.join(', ')} at ${model.url}`);
    cli.note('OpenCode finds it by this part of its configuration (CELLS_OPENCODE_CONFIG):');
    cli.note(JSON.stringify(opencodeProvider(model.url), null, 2));
  }
  if (!signal.aborted) await once(signal, 'abort');
}
