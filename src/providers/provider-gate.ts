import { setTimeout as sleep } from 'node:timers/promises';

/** A cell that asks a model, which is named as `provider/model`. */
export interface Asker {
  cellId: string;
  model: string;
}

/** What is known of a model on this host. */
export interface ModelHealth {
  model: string;
  /** Null while prompts go out; else since when they are held back, why, and when the next try is, milliseconds since the epoch. */
  outage: { since: number; reason: string; nextTryAt: number } | null;
  /** Prompts that wait now. */
  waiting: number;
}

/**
 * The circuit breaker of models, for all cells of a worker. When requests of several cells have failed and none has succeeded in
 * between, one cell goes on asking and the prompts of the others wait: until it has an answer, or has given up and another
 * takes its turn after a pause. It knows nothing of an outage that an earlier worker has seen.
 */
export interface ProviderGate {
  /** Waits until a prompt may go out; the first to come when a try is due makes it. `waiting` hears now and then what for, in a sentence. */
  pass(asker: Asker, waiting: (what: string) => void, signal: AbortSignal): Promise<void>;
  /** Whether a cell that is about to ask again should rather wait with the others. */
  holdsBack(asker: Asker): boolean;
  /** A request has failed. @param nextAt when the cell asks again by itself, milliseconds since the epoch; null when it has given up */
  failed(asker: Asker, reason: string, nextAt: number | null): void;
  /** The model has answered somebody. */
  answered(model: string): void;
  /** The cell asks no more, for whatever reason: if it was its turn, it is another's. */
  left(asker: Asker): void;
  /** Every model that was asked since the worker began. */
  list(): ModelHealth[];
}

/** What a test sets; milliseconds. */
export interface GateTiming {
  clock(): number;
  /** From 0 to 1. */
  random(): number;
  /** How often a prompt that waits looks. */
  interval: number;
}

/** So many failures of two cells at least, within this time, open it: one cell alone may have asked for what cannot be had. */
const limit = { failures: 5, within: 60_000 };
/** Before the first try by another cell, and at most: each pause is twice the one before. */
const pause = { first: 30_000, most: 300_000 };
/** Those who waited do not ask all at once: each comes back within this time. */
const spread = 5_000;

interface Model {
  failures: { cellId: string; at: number }[];
  outage: Outage | null;
  waiting: number;
}

interface Outage {
  since: number;
  reason: string;
  nextTryAt: number;
  /** The cell whose turn it is to ask. */
  trier: string | null;
  tries: number;
}

const ordinary: GateTiming = { clock: Date.now, random: Math.random, interval: 500 };

export function createProviderGate({ clock, random, interval }: GateTiming = ordinary): ProviderGate {
  const models = new Map<string, Model>();
  const modelOf = (name: string): Model => {
    const known = models.get(name) ?? { failures: [], outage: null, waiting: 0 };
    models.set(name, known);
    return known;
  };
  const pauseAfter = (tries: number) => clock() + Math.min(pause.first * 2 ** tries, pause.most) * (1 + random() / 10);
  const holdsBack = ({ cellId, model }: Asker) => {
    const outage = modelOf(model).outage;
    return outage !== null && outage.trier !== cellId;
  };

  /** Takes the turn to ask, if it is due and nobody else's. */
  const mayAsk = (asker: Asker): boolean => {
    const { outage } = modelOf(asker.model);
    if (outage !== null && outage.trier === null && clock() >= outage.nextTryAt) outage.trier = asker.cellId;
    return !holdsBack(asker);
  };

  return {
    holdsBack,
    async pass(asker, waiting, signal) {
      const model = modelOf(asker.model);
      model.waiting += 1;
      try {
        while (!mayAsk(asker)) {
          while (!mayAsk(asker)) {
            waiting(sentence(asker.model, model.outage));
            await sleep(interval, undefined, { signal });
          }
          if (model.outage === null) await sleep(random() * spread, undefined, { signal });
        }
      } finally {
        model.waiting -= 1;
      }
    },
    failed({ cellId, model: name }, reason, nextAt) {
      const model = modelOf(name);
      const now = clock();
      const { outage } = model;
      if (outage === null) {
        model.failures = [...model.failures.filter(({ at }) => at > now - limit.within), { cellId, at: now }];
        const cells = new Set(model.failures.map((failure) => failure.cellId));
        if (model.failures.length < limit.failures || cells.size < 2) return;
        const trier = nextAt === null ? null : cellId;
        model.outage = { since: now, reason, tries: 0, trier, nextTryAt: nextAt ?? pauseAfter(0) };
      } else if (outage.trier === cellId) {
        outage.reason = reason;
        if (nextAt !== null) outage.nextTryAt = nextAt;
        else Object.assign(outage, { trier: null, tries: outage.tries + 1, nextTryAt: pauseAfter(outage.tries + 1) });
      }
    },
    answered: (name) => void Object.assign(modelOf(name), { failures: [], outage: null }),
    left({ cellId, model }) {
      const { outage } = modelOf(model);
      // When the provider said to come back stays true.
      if (outage?.trier === cellId) outage.trier = null;
    },
    list: () =>
      [...models].map(([model, { outage, waiting }]) => {
        if (outage === null) return { model, outage, waiting };
        const { since, reason, nextTryAt } = outage;
        return { model, outage: { since, reason, nextTryAt }, waiting };
      }),
  };
}

function sentence(model: string, outage: Outage | null): string {
  if (outage === null) return `waiting for provider ${model}`;
  return `waiting for provider ${model} until ${timeOf(outage.nextTryAt)}: ${outage.reason}`.slice(0, 300);
}

/** A provider may name any time; a date has an end. */
const timeOf = (at: number): string => new Date(Math.min(at, 8.64e15)).toISOString();
