import type { AssistantMessage, Message } from '@opencode-ai/sdk/v2/types';
import { type TokenUsage, addTokens, noTokens } from '../domain/outcome.ts';

/** Tokens and cost of all assistant messages of a server, one entry a message, so that an update is never counted twice. */
export interface UsageCount {
  add(message: Message): void;
  tokens(): TokenUsage;
  /** US dollars; null when no message had a price. */
  cost(): number | null;
}

export function countUsage(): UsageCount {
  const messages = new Map<string, AssistantMessage>();
  return {
    add(message) {
      if (message.role === 'assistant') messages.set(message.id, message);
    },
    tokens: () => [...messages.values()].map(tokensOf).reduce(addTokens, noTokens),
    cost() {
      const total = [...messages.values()].reduce((cost, message) => cost + message.cost, 0);
      return total > 0 ? total : null;
    },
  };
}

function tokensOf({ tokens }: AssistantMessage): TokenUsage {
  const { input, output, reasoning, cache } = tokens;
  return {
    input,
    output,
    reasoning,
    cacheRead: cache.read,
    cacheWrite: cache.write,
    total: input + output + reasoning + cache.read + cache.write,
  };
}
