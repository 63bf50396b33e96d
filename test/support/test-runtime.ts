/**
 * The runtime of the cells in suites that are not about one: `process`, unless `AGENT_CELLS_TEST_RUNTIME` names another, with which the
 * same suites run again.
 */
export const testRuntime = (): string => process.env['AGENT_CELLS_TEST_RUNTIME'] ?? 'process';
