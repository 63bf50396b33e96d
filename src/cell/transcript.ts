import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import { replaceFile } from '../files/replace-file.ts';
import { type SessionMessage, readMessages } from '../opencode/session.ts';
import type { CellHost } from './host.ts';
import { cellPaths } from './paths.ts';

/**
 * Keeps the session's messages among the artifacts, and answers them.
 * Best effort: a server that has ended can show nothing any more; then the answer is null.
 */
export async function keepTranscript(
  host: CellHost,
  cellId: string,
  client: OpencodeClient,
  sessionId: string,
): Promise<SessionMessage[] | null> {
  try {
    const messages = await readMessages(client, sessionId, AbortSignal.timeout(10_000));
    await replaceFile(cellPaths(host.stateDirectory, cellId).transcript, JSON.stringify(messages, null, 2), {
      mode: 0o600,
    });
    return messages;
  } catch (error) {
    host.log.debug({ cellId, error }, 'the transcript could not be kept');
    return null;
  }
}
