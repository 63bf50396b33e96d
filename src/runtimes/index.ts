import type { IsolationName } from '../domain/request.ts';
import { type BubblewrapOptions, createBubblewrapRuntime } from './bubblewrap.ts';
import { createDockerRuntime, type DockerOptions } from './docker.ts';
import { createProcessRuntime } from './process.ts';
import type { CellRuntime, Probe } from './runtime.ts';

/** What runtimes are made from: each takes of it what it needs. */
export type RuntimeOptions = BubblewrapOptions & DockerOptions;

/** Every known runtime. Making one looks at nothing and starts nothing. */
export function makeRuntimes(options: RuntimeOptions): Record<IsolationName, CellRuntime> {
  return {
    process: createProcessRuntime(options),
    bubblewrap: createBubblewrapRuntime(options),
    docker: createDockerRuntime(options),
  };
}

/** A runtime, and what this host said when it was probed. */
export interface ProbedRuntime {
  runtime: CellRuntime;
  probe: Probe;
}

/** Makes every known runtime, and asks each whether it is usable on this host. */
export async function probeRuntimes(options: RuntimeOptions): Promise<Record<IsolationName, ProbedRuntime>> {
  const made = makeRuntimes(options);
  const [process, bubblewrap, docker] = await Promise.all([
    probed(made.process),
    probed(made.bubblewrap),
    probed(made.docker),
  ]);
  return { process, bubblewrap, docker };
}

async function probed(runtime: CellRuntime): Promise<ProbedRuntime> {
  return { runtime, probe: await runtime.probe() };
}
