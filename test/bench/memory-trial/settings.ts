import type { Changes } from '../bare-server.ts';

/** A change to what a cell's server is started with. */
export interface Setting extends Changes {
  name: string;
  /** In words, for the page. */
  what: string;
}

const jsc = (options: Record<string, string>) =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [`BUN_JSC_${name}`, value]));

const noEngine = {
  BUN_JSC_useEagerCodeBlockJettisonTiming: null,
  BUN_JSC_useDFGJIT: null,
  BUN_JSC_heapGrowthMaxIncrease: null,
  BUN_JSC_thresholdForJITAfterWarmUp: null,
};

export const settings: readonly Setting[] = [
  { name: 'now', what: 'as cells are started' },
  { name: 'no-engine-options', what: 'without the engine options of cells', env: noEngine },
  {
    name: 'unlinked-jettison',
    what: 'drops bytecode that is not used',
    env: jsc({ useUnlinkedCodeBlockJettisoning: '1' }),
  },
  { name: 'no-concurrent-jit', what: 'compiles in the main thread', env: jsc({ useConcurrentJIT: '0' }) },
  {
    name: 'all-models',
    what: 'with the whole table of models that is built in',
    env: { OPENCODE_MODELS_PATH: null },
  },
  { name: 'one-provider', what: 'only the provider in use is enabled', config: { enabled_providers: ['scripted'] } },
  {
    name: 'few-agents',
    what: 'plan, general, explore switched off',
    config: { agent: { plan: { disable: true }, general: { disable: true }, explore: { disable: true } } },
  },
  {
    name: 'few-tools',
    what: 'only the tools that edit and search',
    config: {
      tools: { task: false, skill: false, todowrite: false, webfetch: false, websearch: false, question: false },
    },
  },
  { name: 'log-errors', what: 'logs errors only', env: { OPENCODE_LOG_LEVEL: 'ERROR' } },
  { name: 'malloc-arena', what: 'one arena of the C library', env: { MALLOC_ARENA_MAX: '1' } },
  {
    name: 'mimalloc-lazy',
    what: 'the allocator commits late and gives back early',
    env: { MIMALLOC_ARENA_EAGER_COMMIT: '0', MIMALLOC_PURGE_DELAY: '0', MIMALLOC_PURGE_DECOMMITS: '1' },
  },
  {
    name: 'mimalloc-thp',
    what: 'the allocator without huge pages',
    env: { MIMALLOC_ALLOW_THP: '0', MIMALLOC_ALLOW_LARGE_OS_PAGES: '0' },
  },
  { name: 'gc-level-1', what: "Bun's collector, mild", env: { BUN_GARBAGE_COLLECTOR_LEVEL: '1' } },
  { name: 'gc-level-2', what: "Bun's collector, aggressive", env: { BUN_GARBAGE_COLLECTOR_LEVEL: '2' } },
  { name: 'gc-timer-200', what: "Bun's collector looks five times a second", env: { BUN_GC_TIMER_INTERVAL: '200' } },
  {
    name: 'memory-limit-512',
    what: 'Bun believes in 512 MiB',
    env: { BUN_FEATURE_FLAG_SYNTHETIC_MEMORY_LIMIT: '536870912' },
  },
  {
    name: 'growth-threshold',
    what: 'the curve of heap growth begins lower',
    env: jsc({ heapGrowthFunctionThresholdInMB: '1024' }),
  },
  { name: 'steepness-4', what: 'the curve of heap growth is steeper', env: jsc({ heapGrowthSteepnessFactor: '4' }) },
  { name: 'full-collections', what: 'every collection is a full one', env: jsc({ useGenerationalGC: '0' }) },
  { name: 'headroom-1.1', what: 'less headroom while collecting', env: jsc({ concurrentGCMaxHeadroom: '1.1' }) },
  { name: 'no-concurrent-gc', what: 'collects while the program stands', env: jsc({ useConcurrentGC: '0' }) },
  { name: 'sweep-now', what: 'sweeps at once after a collection', env: jsc({ sweepSynchronously: '1' }) },
  { name: 'min-utilization', what: 'collects blocks that are emptier', env: jsc({ minHeapUtilization: '0.95' }) },
  {
    name: 'no-source-cache',
    what: 'no cache of parsed sources',
    env: jsc({ useSourceProviderCache: '0', useCodeCache: '0' }),
  },
  {
    name: 'no-wasm-fast-memory',
    what: 'no reserved address space for WebAssembly',
    env: jsc({ useWasmFastMemory: '0' }),
  },
  {
    name: 'no-regexp-jit',
    what: 'regular expressions are interpreted',
    env: jsc({ useRegExpJIT: '0', useDOMJIT: '0' }),
  },
  {
    name: 'one-worklist',
    what: 'one compiler thread, one marker',
    env: jsc({
      numberOfBaselineCompilerThreads: '1',
      minNumberOfWorklistThreads: '1',
      maxNumberOfWorklistThreads: '1',
      numberOfGCMarkers: '1',
    }),
  },
  {
    name: 'threshold-50000',
    what: 'compiles only what runs very often',
    env: jsc({ thresholdForJITAfterWarmUp: '50000' }),
  },
  {
    name: 'old-age',
    what: 'drops machine code by age at every collection',
    env: jsc({ forceCodeBlockToJettisonDueToOldAge: '1' }),
  },
  {
    name: 'disk-cache',
    what: 'a bytecode cache on disk',
    env: { BUN_JSC_diskCachePath: '{{home}}/cache', BUN_JSC_forceDiskCache: '1' },
  },
  {
    name: 'no-prune',
    what: 'no pruning, no compaction',
    env: { OPENCODE_DISABLE_PRUNE: '1', OPENCODE_DISABLE_AUTOCOMPACT: '1' },
  },
  {
    name: 'client-serve',
    what: 'says that its client is serve, so that it has no question tool',
    env: { OPENCODE_CLIENT: 'serve' },
  },
];
