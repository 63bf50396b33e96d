import type { Client } from '@temporalio/client';
import type { CellRequest } from '../domain/request.ts';
import { UserError } from '../domain/user-error.ts';

/** How much one program may start through this client, beyond what the fields of a request are held to. */
export interface StartLimits {
  /** Bytes of a request as JSON: Temporal takes no more than 2 MiB, and shows a warning from a quarter of that on. */
  requestBytes: number;
  /** Entries of `labels`, and of `env`. */
  entries: number;
  /** Requests in one batch. */
  batch: number;
  /** Starts of one client within a minute: a loop that never ends is noticed before a namespace is full of it. */
  startsPerMinute: number;
}

export const startLimits: StartLimits = {
  requestBytes: 1024 * 1024,
  entries: 128,
  batch: 10_000,
  startsPerMinute: 3_000,
};

/** A minute, milliseconds. */
const minute = 60_000;

/** What of a request is too large, in a sentence that names the limit; null when nothing is. */
export function tooLarge(request: CellRequest, limits: StartLimits = startLimits): string | null {
  for (const field of ['labels', 'env'] as const) {
    const count = Object.keys(request[field] ?? {}).length;
    if (count > limits.entries) return `${field}: must have at most ${limits.entries} entries, and has ${count}`;
  }
  const bytes = Buffer.byteLength(JSON.stringify(request));
  if (bytes <= limits.requestBytes) return null;
  return `request: must be at most ${limits.requestBytes} bytes as JSON, and is ${bytes}`;
}

/** When each client started something within the last minute. */
const starts = new WeakMap<Client, number[]>();

/**
 * Counts a start of a client.
 *
 * @throws UserError `TooManyStarts`
 */
export function countStart(client: Client, limits: StartLimits = startLimits, now = Date.now()): void {
  const recent = (starts.get(client) ?? []).filter((at) => now - at < minute);
  starts.set(client, recent);
  if (recent.length < limits.startsPerMinute) return void recent.push(now);
  const wait = Math.ceil((minute - (now - (recent[0] ?? now))) / 1000);
  throw new UserError(
    'TooManyStarts',
    `this client has started ${recent.length} cells within a minute, and the limit is ${limits.startsPerMinute} starts per minute`,
    { try: `wait ${wait} seconds; cells that were started are not affected` },
  );
}
