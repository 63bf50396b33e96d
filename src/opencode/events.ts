import { setTimeout as sleep } from 'node:timers/promises';
import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import type { Event } from '@opencode-ai/sdk/v2/types';
import { followingWith } from './server.ts';

/** What the listener of a server's events is told. */
export interface EventListener {
  /** Each time the stream is open: what happened before is not repeated, so read it. */
  opened(): void;
  event(event: Event): void;
}

/** How long to wait before a broken stream is opened again, milliseconds. */
const reopenAfter = 300;

/** Follows the events of a server until the signal aborts, opening the stream again whenever it breaks. Never rejects. */
export async function followEvents(
  client: OpencodeClient,
  listener: EventListener,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const { stream } = await client.event.subscribe(undefined, { ...followingWith(signal), sseMaxRetryAttempts: 1 });
      for await (const event of stream) {
        if (signal.aborted) return;
        if (event.type === 'server.connected') listener.opened();
        else listener.event(event);
      }
    } catch {
      // A broken stream says nothing about the agent: whether the server lives is watched elsewhere.
    }
    await sleep(reopenAfter, undefined, { signal }).catch(() => undefined);
  }
}
