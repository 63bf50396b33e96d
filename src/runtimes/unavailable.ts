import type { IsolationName } from '../domain/request.ts';
import type { CellRuntime, Probe } from './runtime.ts';

/** A runtime that no host has yet: its probe says why, it holds nothing, and it starts nothing. */
export function unavailableRuntime(name: IsolationName, reason: { why: string; try: string }): CellRuntime {
  const probe: Probe = { usable: false, ...reason };
  const refuse = () => Promise.reject(new Error(`the ${name} runtime is ${reason.why}`));
  return {
    name,
    confines: true,
    unsupported: {},
    probe: () => Promise.resolve(probe),
    start: refuse,
    exec: refuse,
    holdPort: refuse,
    relayPort: refuse,
    stats: () => Promise.resolve(null),
    inspect: () => Promise.resolve({ kind: 'gone' }),
    pause: refuse,
    destroy: () => Promise.resolve(0),
    list: () => Promise.resolve([]),
    listEmpty: () => Promise.resolve([]),
  };
}
