import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { BreakerState } from '../../cell/breaker.ts';
import { replaceFile } from '../../files/replace-file.ts';

/** Why a host asks for no cell, the first that applies. */
export const refusalReasons = ['stopping', 'breaker', 'full', 'ports', 'disk', 'memory'] as const;
export type RefusalReason = (typeof refusalReasons)[number];

export const breakerStates = ['closed', 'open', 'half-open'] as const satisfies BreakerState['state'][];

const count = v.pipe(v.number(), v.integer());
const nullable = v.nullable(count);

const stateSchema = v.object({
  version: v.literal(1),
  host: v.string(),
  /** When this was so, and since when it is, milliseconds since the epoch. */
  at: count,
  since: count,
  claims: v.boolean(),
  reason: v.nullable(v.picklist(refusalReasons)),
  /** The reason with its figures, in a sentence; empty while it claims. */
  detail: v.string(),
  /** `claiming` are places that a claim under way will take. */
  places: v.object({ taken: count, claiming: count, capacity: count }),
  /** Bytes. `growth` is what cells that are here have yet to grow by; `need` is what the next is to be expected to need. */
  memory: v.object({ total: count, available: count, reserve: count, growth: count, need: count }),
  disk: v.object({ available: count, reserve: count, growth: count, need: count }),
  /** `wanted` are those that cells which are here have yet to take. */
  ports: v.object({ from: count, to: count, free: count, wanted: count }),
  breaker: v.object({ state: v.picklist(breakerStates), failures: count, nextTryAt: nullable }),
});

/** Whether a host claims cells, and the figures that decide it. Public: `/healthz`, `admission.json`, `cells show --json`. */
export type AdmissionState = v.InferOutput<typeof stateSchema>;

/** The figures alone. */
export type Figures = Pick<AdmissionState, 'places' | 'memory' | 'disk' | 'ports' | 'breaker'>;

const fileIn = (stateDirectory: string): string => join(stateDirectory, 'admission.json');

/** Writes the file that commands on this host read; it is seen whole or not at all. */
export async function writeAdmissionState(stateDirectory: string, state: AdmissionState): Promise<void> {
  const text = `${JSON.stringify(state, null, 2)}\n`;
  await replaceFile(fileIn(stateDirectory), text, { mode: 0o600, sync: false });
}

/** What the worker of a state directory wrote last; null where none did, or one of another version. */
export async function readAdmissionState(stateDirectory: string): Promise<AdmissionState | null> {
  const text = await readFile(fileIn(stateDirectory), 'utf8').catch(() => '');
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), stateSchema), text);
  return parsed.success ? parsed.output : null;
}

/** A worker writes at least every ten seconds: older than this, milliseconds, it says nothing of now. */
export const staleAfter = 40_000;
