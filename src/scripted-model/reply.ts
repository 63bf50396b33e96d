import type { TokenUsage } from '../domain/outcome.ts';
import type { ChatRequest } from './chat-request.ts';
import type { Turn } from './script.ts';
import { fill, type Variables } from './template.ts';

export type Finish = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** A whole answer of the model, before it is put into chunks. */
export interface Reply {
  reasoning: string;
  text: string;
  /** `arguments` is JSON, as the protocol wants it. */
  calls: { id: string; tool: string; arguments: string }[];
  finish: Finish;
  usage: TokenUsage;
}

/** The answer that a turn gives in a conversation: the same for the same request, call ids included. */
export function replyOf(turn: Turn, variables: Variables, request: ChatRequest): Reply {
  const calls = fill(turn.calls ?? [], variables).map((call, index) => ({
    id: `call_r${variables.round}_t${variables.turn}_${index + 1}`,
    tool: call.tool,
    arguments: JSON.stringify(call.arguments),
  }));
  const content = { reasoning: fill(turn.reasoning ?? '', variables), text: fill(turn.text ?? '', variables), calls };
  return {
    ...content,
    finish: turn.finish ?? (calls.length > 0 ? 'tool_calls' : 'stop'),
    usage: turn.usage === undefined ? estimate(content, request) : total({ ...turn.usage, cacheWrite: 0 }),
  };
}

/** An answer of text alone, for the calls that no script is asked for. */
export function textReply(text: string, request: ChatRequest): Reply {
  const content = { reasoning: '', text, calls: [] };
  return { ...content, finish: 'stop', usage: estimate(content, request) };
}

/** About four characters make a token. */
function estimate(content: Pick<Reply, 'reasoning' | 'text' | 'calls'>, request: ChatRequest): TokenUsage {
  const tokensIn = (texts: string[]) => Math.ceil(texts.reduce((sum, { length }) => sum + length, 0) / 4);
  return total({
    input: tokensIn(request.messages.map(({ text }) => text)),
    output: tokensIn([content.text, ...content.calls.flatMap((call) => [call.tool, call.arguments])]),
    reasoning: tokensIn([content.reasoning]),
    cacheRead: 0,
    cacheWrite: 0,
  });
}

function total(usage: Omit<TokenUsage, 'total'>): TokenUsage {
  const { input, output, reasoning, cacheRead, cacheWrite } = usage;
  return { ...usage, total: input + output + reasoning + cacheRead + cacheWrite };
}
