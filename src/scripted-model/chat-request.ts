import * as v from 'valibot';

const content = v.nullish(
  v.union(
    [v.string(), v.array(v.looseObject({ type: v.string(), text: v.optional(v.string()) }))],
    'must be a string or a list of parts',
  ),
);

/** Loose where scripts are strict: what an OpenAI client may send besides is not ours to judge. */
const chatRequest = v.looseObject({
  model: v.optional(v.string('must be a string'), ''),
  messages: v.pipe(
    v.array(v.looseObject({ role: v.string('must be a string'), content }), 'must be a list'),
    v.nonEmpty('must not be empty'),
  ),
  tools: v.nullish(v.array(v.unknown(), 'must be a list')),
  stream: v.nullish(v.boolean('must be true or false')),
  stream_options: v.nullish(v.looseObject({ include_usage: v.nullish(v.boolean()) })),
});

/** One message of a conversation, its text parts joined. */
export interface ChatMessage {
  role: string;
  text: string;
}

/** What of a request to `/v1/chat/completions` decides the answer. */
export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  hasTools: boolean;
  stream: boolean;
  /** A stream ends with the usage only when the client asked for it; another answer always has it. */
  wantsUsage: boolean;
}

export type ParsedChatRequest = { ok: true; request: ChatRequest } | { ok: false; message: string };

/** Parses the body of a request. */
export function parseChatRequest(body: string): ParsedChatRequest {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { ok: false, message: 'the body is not JSON' };
  }
  const parsed = v.safeParse(chatRequest, value, { abortEarly: true });
  if (!parsed.success) return { ok: false, message: sentence(parsed.issues[0]) };
  const { model, messages, tools, stream, stream_options: streamOptions } = parsed.output;
  return {
    ok: true,
    request: {
      model,
      messages: messages.map((message) => ({ role: message.role, text: textOf(message.content) })),
      hasTools: (tools ?? []).length > 0,
      stream: stream === true,
      wantsUsage: stream !== true || streamOptions?.include_usage === true,
    },
  };
}

function textOf(value: v.InferOutput<typeof content>): string {
  if (typeof value === 'string') return value;
  return (value ?? []).map((part) => part.text ?? '').join('\n');
}

function sentence(issue: v.BaseIssue<unknown>): string {
  const field = v.getDotPath(issue);
  return field === null ? 'the body must be an object' : `${field}: ${issue.message}`;
}
