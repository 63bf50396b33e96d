import type { TokenUsage } from '../domain/outcome.ts';
import type { ModelApi } from './model-api.ts';

/** About four characters make a token, in English and in code. */
const charactersPerToken = 4;
/** What an image or another attachment counts: its encoding says nothing about its tokens. */
const attachmentTokens = 2_000;
/** What can be told of a request before it is sent; tokens. */
export interface Estimate {
  /** What its input takes, about. */
  input: number;
  /** More than this input and answer cannot take: no token is shorter than a byte. Infinite where the answer has no limit. */
  most: number;
}

/** Estimates a request from its body. */
export function estimateRequest(body: Record<string, unknown>, api: ModelApi): Estimate {
  const { bytes, characters, attachments } = measure(body);
  const input = Math.ceil(characters / charactersPerToken) + attachments * attachmentTokens;
  const known = api !== 'responses' || !hasInputElsewhere(body);
  return { input, most: known ? bytes + attachments * attachmentTokens + longestAnswer(body, api) : Infinity };
}

/** The fields that limit an answer. Another API's field is not read by the provider, and of two it may read either. */
const limitsOf: Readonly<Record<ModelApi, readonly string[]>> = {
  chat: ['max_tokens', 'max_completion_tokens'],
  messages: ['max_tokens'],
  responses: ['max_output_tokens'],
};

/** Where several answers are asked for, each may be that long. */
function longestAnswer(body: Record<string, unknown>, api: ModelApi): number {
  const limits = limitsOf[api].map((name) => body[name]).filter((value) => typeof value === 'number');
  const limit = Math.max(...limits);
  const answers = typeof body['n'] === 'number' && body['n'] > 1 ? body['n'] : 1;
  return limit > 0 ? Math.ceil(limit * answers) : Infinity;
}

/** Whether the provider adds what it has kept of earlier requests, of a length that the body does not tell. */
function hasInputElsewhere(body: Record<string, unknown>): boolean {
  const items: unknown[] = Array.isArray(body['input']) ? body['input'] : [];
  return ['previous_response_id', 'conversation'].some((name) => body[name]) || items.some(isReference);
}

/** An item that is only named; its type may be left out. */
function isReference(item: unknown): boolean {
  if (typeof item !== 'object' || item === null) return false;
  const type: unknown = Reflect.get(item, 'type');
  return type === 'item_reference' || (!type && !Reflect.has(item, 'content'));
}

/** Estimates what an answer used of which nothing, or not all, was reported. */
export function estimateUsage(input: number, characters: number, reported: TokenUsage | null): TokenUsage {
  const known = reported ?? { input, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 };
  const output = Math.max(known.output, Math.ceil(characters / charactersPerToken) - known.reasoning);
  const { reasoning, cacheRead, cacheWrite } = known;
  return { ...known, output, total: known.input + output + reasoning + cacheRead + cacheWrite };
}

function measure(body: Record<string, unknown>): { bytes: number; characters: number; attachments: number } {
  const text = JSON.stringify(body);
  const attachments = attachmentsIn(body);
  const encoded = attachments.reduce((sum, { length }) => sum + length, 0);
  return { bytes: Buffer.byteLength(text), characters: text.length - encoded, attachments: attachments.length };
}

function attachmentsIn(value: unknown): string[] {
  if (typeof value === 'string') return isAttachment(value) ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(attachmentsIn) : [];
}

const isAttachment = (text: string): boolean =>
  text.length > 4_096 && (/^data:[^,]{1,200};base64,/.test(text) || /^[A-Za-z0-9+/_-]+={0,2}$/.test(text));
