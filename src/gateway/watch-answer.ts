import { type TokenUsage, noTokens } from '../domain/outcome.ts';
import { estimateUsage } from './estimate.ts';
import { createEventReader } from './event-stream.ts';
import type { ModelRequest } from './model-request.ts';
import { createUsageReader } from './usage.ts';

/** Watches one answer go by and says what it used. */
export interface AnswerWatch {
  /** The request has left for the provider: from now on it may cost something. */
  sent(): void;
  /** The provider answered with an error, which costs nothing. */
  refused(): void;
  /** The provider answers; `stream` when it sends events. */
  begin(stream: boolean): void;
  take(chunk: Buffer): void;
  /** The provider has said all that it had to say. */
  end(): void;
  used(): { tokens: TokenUsage; estimated: boolean };
}

/** An answer that is no stream is kept up to this size, to be read at its end; bytes. */
const largest = 8 * 1024 * 1024;

export function watchAnswer({ api, estimate }: Pick<ModelRequest, 'api' | 'estimate'>): AnswerWatch {
  const usage = createUsageReader(api);
  const events = createEventReader();
  const chunks: Buffer[] = [];
  let bytes = 0;
  let stream = false;
  let costs = false;
  const read = (text: string): void => {
    // What is no JSON, such as the end mark of OpenAI's streams, says nothing about usage.
    const value = parsed(text);
    if (value !== undefined) usage.read(value);
  };
  return {
    sent: () => void (costs = true),
    refused: () => void (costs = false),
    begin: (isStream) => void (stream = isStream),
    take(chunk) {
      bytes += chunk.length;
      if (stream) events.push(chunk).forEach(read);
      else if (bytes <= largest) chunks.push(chunk);
    },
    end() {
      if (stream) events.end().forEach(read);
      else if (bytes <= largest) read(Buffer.concat(chunks).toString('utf8'));
    },
    used() {
      if (!costs) return { tokens: noTokens, estimated: false };
      const reported = usage.reported();
      if (reported !== null && usage.complete()) return { tokens: reported, estimated: false };
      const characters = stream ? usage.characters() : bytes;
      return { tokens: estimateUsage(estimate.input, characters, reported), estimated: true };
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
