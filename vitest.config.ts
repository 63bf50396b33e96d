import { defineConfig } from 'vitest/config';

const serverTests = {
  globalSetup: 'test/support/global-setup.ts',
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // Real servers on a machine that may stall for seconds: in CI a failed test has one more try, which the report shows.
  retry: process.env['CI'] ? 1 : 0,
};

/** `vitest run --project unit` needs nothing but Node; the other projects share one Temporal dev server for the run. */
export default defineConfig({
  test: {
    pool: 'forks',
    // Files wait more than they compute, but cells are processes of their own: more files at once would only make each slower.
    maxWorkers: 3,
    expect: { requireAssertions: true },
    restoreMocks: true,
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 10_000 } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/contracts/**/*.test.ts'],
          exclude: ['test/integration/hostile/**'],
          ...serverTests,
        },
      },
      // It starts a Docker engine and uses up what cells may: by itself.
      { extends: true, test: { name: 'hostile', include: ['test/integration/hostile/*.test.ts'], ...serverTests } },
      { extends: true, test: { name: 'replay', include: ['test/replay/**/*.test.ts'], ...serverTests } },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          ...serverTests,
          testTimeout: 300_000,
          // Each file brings up a worker and real agents, and measures how long they take.
          fileParallelism: false,
        },
      },
      {
        extends: true,
        // It has a Temporal server of its own, to do with as it likes. What fails here once is not to be tried until it passes.
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          ...serverTests,
          retry: 0,
          testTimeout: 300_000,
          hookTimeout: 20 * 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
