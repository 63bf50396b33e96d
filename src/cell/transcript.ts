import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import writeFileAtomic from 'write-file-atomic';
import { readMessages } from '../opencode/session.ts';
import type { CellHost } from './host.ts';
import { cellPaths } from './paths.ts';

/** Keeps the session's messages among the artifacts. Best effort: a server that has ended can show nothing any more. */
export async function keepTranscript(
  host: CellHost,
  cellId: string,
  client: OpencodeClient,
  sessionId: string,
): Promise<void> {
  try {
    const messages = await readMessages(client, sessionId, AbortSignal.timeout(10_000));
    await writeFileAtomic(cellPaths(host.stateDirectory, cellId).transcript, JSON.stringify(messages, null, 2), {
      mode: 0o600,
    });
  } catch (error) {
    host.log.debug({ cellId, error }, 'the transcript could not be kept');
  }
}
