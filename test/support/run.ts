import { randomBytes } from 'node:crypto';

/** Carried by every process of one test run, so that what is left behind can be told from what another run is using. */
export const runMarker = 'AGENT_CELLS_TEST_RUN';

/** How the names of temporary directories begin: `agent-cells-test-<run>-`. */
export const directoryPrefix = 'agent-cells-test-';

/** The id of this run; the first process that asks makes it, and its children inherit it. */
export function testRun(): string {
  return (process.env[runMarker] ??= randomBytes(4).toString('hex'));
}
