import { setTimeout as delay } from 'node:timers/promises';
import type { CellHost } from '../../cell/host.ts';
import { repeat } from '../repeat.ts';
import { type Limits, takeFigures } from './figures.ts';
import { type Refusal, judge } from './judge.ts';
import { createMeasurement } from './measure-cells.ts';
import { loadObservedNeeds } from './observed-needs.ts';
import { type AdmissionState, type Figures, writeAdmissionState } from './state.ts';

/** Decides whether this host takes one more cell, and says why it does not. */
export interface Admission extends AsyncDisposable {
  /** Waits until the host has room for one more cell, and keeps a place for it. */
  keepPlace(signal: AbortSignal): Promise<void>;
  /** A claim has come for a place that was kept. */
  placeClaimed(): void;
  /** The place is its lease's from now on, or nobody's where no claim came. */
  placeReleased(claimed: boolean): void;
  /** Looks once more before a claim is granted, for its poll may have waited long. Answers why it cannot be had, or null: then it has begun. */
  refuse(): Promise<string | null>;
  /**
   * Whether there is room for one server beyond the cells that may come: for what is made ahead. False while a cell may be waiting
   * in Temporal for a free place of this host. While `state().reason` is `memory`, `disk` or `ports`, give back what was made ahead.
   */
  hasSpareRoom(): Promise<boolean>;
  /** What was found last, a few seconds ago at most. */
  state(): AdmissionState;
  /** No place is kept from now on. */
  stop(): void;
}

/** Milliseconds: until a host without room looks again; between two looks in any case; between two writes when nothing has changed. */
const interval = { retry: 1_000, look: 5_000, write: 10_000 };
/** A poll that nobody answered for so long says that no cell waits, milliseconds. */
const nobodyWaits = 2_000;

/** Looks at the host for the first time, and from then on every few seconds until it is disposed. */
export async function startAdmission(host: CellHost, limits: Limits): Promise<Admission> {
  const needs = await loadObservedNeeds(host.stateDirectory);
  const measure = createMeasurement(host, needs);
  /** When each poll began that waits for a claim. */
  const polls: number[] = [];
  let claims = 0;
  let stopped = false;
  let writtenAt = 0;

  const look = (claiming: number): Promise<Figures> => takeFigures(host, limits, needs, claiming);
  const judged = (found: Figures, cells = 1): Refusal | null =>
    stopped
      ? { reason: 'stopping', detail: 'the worker is stopping' }
      : judge(found, { ...limits, cells, now: Date.now() });

  await measure();
  let state = stateOf(host.hostId, await look(0), null, null);
  await publish();

  /** What the host would say to a claim that comes now: a place that is kept for it is no refusal. */
  async function publish(): Promise<void> {
    const found = await look(claims);
    const before = state;
    state = stateOf(host.hostId, found, judged(found), before);
    if (state.reason === before.reason && state.at - writtenAt < interval.write) return;
    writtenAt = state.at;
    await writeAdmissionState(host.stateDirectory, state);
  }

  const attempt = async (work: () => Promise<void>) => {
    await work().catch((error: unknown) => host.log.warn({ error }, 'could not look at what this host has'));
  };
  let disposed = false;
  const looking = repeat(async () => {
    await attempt(measure);
    if (!disposed) await attempt(publish);
  }, interval.look);
  /** Besides the looks: whoever reads the file is to know at once. */
  let saying = Promise.resolve();

  /** Null when a place was kept. While the breaker lets one try through there is no other beside it. */
  async function tryToKeep(): Promise<Refusal | null> {
    const found = await look(polls.length + claims);
    const refusal = judged(found);
    if (refusal) return refusal;
    if (found.breaker.state !== 'closed' && polls.length + claims > 0) return { reason: 'breaker', detail: '' };
    polls.push(Date.now());
    return null;
  }

  return {
    async keepPlace(signal) {
      for (;;) {
        signal.throwIfAborted();
        const refusal = await tryToKeep().catch((error: unknown) => {
          host.log.warn({ error }, 'could not look at what this host has');
          return undefined;
        });
        if (refusal === null) return state.reason === null ? undefined : await attempt(publish);
        if (refusal && refusal.reason !== state.reason) await attempt(publish);
        if (refusal?.reason === 'full')
          await host.leases.waitForCount((taken) => taken + polls.length + claims < limits.capacity, signal);
        else await delay(interval.retry, undefined, { signal });
      }
    },
    placeClaimed() {
      polls.shift();
      claims += 1;
    },
    placeReleased(claimed) {
      if (claimed) claims -= 1;
      else polls.shift();
    },
    async refuse() {
      const refusal = judged(await look(Math.max(0, claims - 1)));
      if (refusal) return `${refusal.reason}: ${refusal.detail}`;
      host.spawns.tried();
      return null;
    },
    async hasSpareRoom() {
      const found = await look(claims);
      const full = found.places.taken + found.places.claiming >= found.places.capacity;
      const [oldest] = polls;
      if (!full && (oldest === undefined || Date.now() - oldest < nobodyWaits)) return false;
      const unlimited = { ...found, places: { ...found.places, capacity: Infinity } };
      return judged(unlimited, full ? 1 : 2) === null;
    },
    state: () => state,
    stop() {
      stopped = true;
      saying = attempt(publish);
    },
    async [Symbol.asyncDispose]() {
      disposed = true;
      await looking[Symbol.asyncDispose]();
      await saying;
    },
  };
}

function stateOf(host: string, found: Figures, refusal: Refusal | null, before: AdmissionState | null): AdmissionState {
  const at = Date.now();
  const reason = refusal?.reason ?? null;
  const since = before !== null && before.reason === reason ? before.since : at;
  return { version: 1, host, at, since, claims: reason === null, reason, detail: refusal?.detail ?? '', ...found };
}
