import type { TokenUsage } from '../domain/outcome.ts';

/** About four characters make a token, in English and in code. */
const charactersPerToken = 4;
/** What an image or another attachment counts: its encoding says nothing about its tokens. */
const attachmentTokens = 2_000;
/** What an answer may take when the request sets no limit. */
const defaultOutput = 8_192;

/** What a request may use at most, as far as it can be told before it is sent; tokens. */
export interface Estimate {
  input: number;
  output: number;
}

/** Estimates a request from its body. */
export function estimateRequest(body: Record<string, unknown>): Estimate {
  const limits = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'].map((name) => body[name]);
  const output = limits.filter((limit) => typeof limit === 'number').find((limit) => limit > 0);
  return { input: tokensIn(body), output: Math.ceil(output ?? defaultOutput) };
}

/** Estimates what an answer used of which nothing, or not all, was reported. */
export function estimateUsage(input: number, characters: number, reported: TokenUsage | null): TokenUsage {
  const known = reported ?? { input, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 };
  const output = Math.max(known.output, Math.ceil(characters / charactersPerToken) - known.reasoning);
  const { reasoning, cacheRead, cacheWrite } = known;
  return { ...known, output, total: known.input + output + reasoning + cacheRead + cacheWrite };
}

function tokensIn(body: Record<string, unknown>): number {
  let attachments = 0;
  const text = JSON.stringify(body, (_, value: unknown) => {
    if (typeof value !== 'string' || !isAttachment(value)) return value;
    attachments += 1;
    return '';
  });
  return Math.ceil(text.length / charactersPerToken) + attachments * attachmentTokens;
}

const isAttachment = (text: string): boolean =>
  text.length > 4_096 && (/^data:[^,]{1,200};base64,/.test(text) || /^[A-Za-z0-9+/_-]+={0,2}$/.test(text));
