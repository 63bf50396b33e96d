import { readFile, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';
import { unknownSettings, type Config } from '../../config.ts';
import { withoutCredentials } from '../../domain/without-credentials.ts';
import { loadTemplates } from '../../templates/load.ts';
import { check, ok, problem, warning, type Check, type Finding } from './check.ts';

/** What the settings name: files that must be readable, repositories that must be there. */
export async function settingsChecks(config: Config): Promise<Check[]> {
  return await Promise.all([
    check('settings', spelling),
    check('agent types', async () =>
      ok(`${Object.keys(await loadTemplates(config.templates)).join(', ')} in ${config.templates}`),
    ),
    check('repositories', () => repositories(config)),
    check('model', () => model(config)),
    check('model gateway', () => gateway(config)),
  ]);
}

function spelling(): Finding {
  const unknown = unknownSettings();
  if (unknown.length === 0) return ok('no unknown CELLS_ variables');
  return warning(`unknown: ${unknown.join(', ')}`, 'correct the spelling, or unset them');
}

async function repositories({ repositories: places }: Config): Promise<Finding> {
  if (places.length === 0) {
    return problem(
      'none may be worked on',
      'set CELLS_REPOSITORY, or CELLS_REPOSITORIES to the paths and URL prefixes that may',
    );
  }
  const paths = places.filter((place) => isAbsolute(place));
  const missing: string[] = [];
  for (const path of paths) if (!(await stat(path).catch(() => null))?.isDirectory()) missing.push(path);
  if (missing.length > 0)
    return problem(`not a directory: ${missing.join(', ')}`, 'correct CELLS_REPOSITORY or CELLS_REPOSITORIES');
  return ok(withoutCredentials(places.join(', ')));
}

async function model({ opencodeConfig, providerEnvironment }: Config): Promise<Finding> {
  const keys = Object.keys(providerEnvironment);
  if (opencodeConfig !== null) {
    const errors: ParseError[] = [];
    parse(await readFile(opencodeConfig, 'utf8'), errors, { allowTrailingComma: true });
    const [error] = errors;
    if (error !== undefined) {
      return problem(
        `${opencodeConfig} is not JSON: ${printParseErrorCode(error.error)} at character ${error.offset}`,
        'correct the file',
      );
    }
    return ok([`providers of ${opencodeConfig}`, ...keys].join(', '));
  }
  if (keys.length > 0) return ok(`keys: ${keys.join(', ')}`);
  return warning(
    'no provider is configured',
    "set a provider's key, such as ANTHROPIC_API_KEY, or CELLS_OPENCODE_CONFIG; `cells dev --script FILE` needs neither",
  );
}

/** What the gateway is worth depends on who a cell runs as. */
function gateway({ modelGateway }: Config): Finding {
  if (!modelGateway)
    return warning(
      'off: servers in the process runtime are started with the keys of the providers, and are counted by their own word',
      'unset CELLS_MODEL_GATEWAY',
    );
  return ok(
    'cells have no keys; in the process runtime they run as the user of the worker, who can read the keys where the worker has them from',
  );
}
