import type { TokenUsage } from '../domain/outcome.ts';

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
export function estimateRequest(body: Record<string, unknown>): Estimate {
  const { bytes, characters, attachments } = measure(body);
  const input = Math.ceil(characters / charactersPerToken) + attachments * attachmentTokens;
  return { input, most: bytes + attachments * attachmentTokens + longestAnswer(body) };
}

/** Where several answers are asked for, each may be that long. */
function longestAnswer(body: Record<string, unknown>): number {
  const limits = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'].map((name) => body[name]);
  const limit = limits.filter((value) => typeof value === 'number').find((value) => value > 0);
  const answers = typeof body['n'] === 'number' && body['n'] > 1 ? body['n'] : 1;
  return limit === undefined ? Infinity : Math.ceil(limit * answers);
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
