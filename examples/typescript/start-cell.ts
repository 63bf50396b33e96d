/**
 * Starts a cell, shows how it comes along, and says how it ended: `node start-cell.ts request.json`.
 * The server is found by Temporal's own settings: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, a profile.
 */
import { readFile } from 'node:fs/promises';
import {
  type CellRequest,
  CellFailure,
  type CellResult,
  UserError,
  connectTemporal,
  failures,
  parseCellRequest,
  startCell,
  watchCell,
} from 'agent-cells';

process.exitCode = await main(process.argv[2]);

async function main(file: string | undefined): Promise<number> {
  if (file === undefined) return fail('usage: node start-cell.ts request.json');
  try {
    const result = await runCell(await readRequest(file));
    console.log(`${result.status}: ${result.reason}`);
    for (const { change, path } of result.filesModified) console.log(`  ${change} ${path}`);
    if (result.status !== 'committed') return 1;
    console.log(`  ${result.branch} at ${result.commit}`);
    return 0;
  } catch (error) {
    return explain(error);
  }
}

async function readRequest(file: string): Promise<CellRequest> {
  const value: unknown = JSON.parse(await readFile(file, 'utf8'));
  const parsed = parseCellRequest(value);
  if (parsed.ok) return parsed.request;
  throw new UserError('InvalidCellRequest', parsed.message);
}

async function runCell(request: CellRequest): Promise<CellResult> {
  await using temporal = await connectTemporal();
  const cell = await startCell(temporal.client, request);
  console.log(`started ${cell.workflowId}`);
  for await (const { lifecycle, step, tokens, tokenBudget, doing } of watchCell(temporal.client, cell.workflowId)) {
    console.log(`${lifecycle}/${step}: ${tokens.total} of ${tokenBudget} tokens${doing === null ? '' : `, ${doing}`}`);
  }
  return await cell.result();
}

/** Without a verdict there is a failure of a stable type; what it means and what to do about it come with the package. */
function explain(error: unknown): number {
  if (error instanceof UserError) return fail(`${error.code}: ${error.message}`);
  if (!(error instanceof CellFailure)) throw error;
  const meaning = Object.entries(failures).find(([type]) => type === error.type)?.[1];
  return fail(`${error.type}: ${error.message}${meaning === undefined ? '' : ` (${meaning.try})`}`);
}

function fail(message: string): number {
  console.error(message);
  return 1;
}
