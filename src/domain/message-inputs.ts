import * as v from 'valibot';
import { faultOf } from './fault.ts';
import { durationField, promptText, wholeNumber } from './request.ts';

const extendSchema = v.pipe(
  v.strictObject({
    tokens: v.optional(wholeNumber(1, 1_000_000_000)),
    timeout: v.optional(durationField),
  }),
  v.check((value) => value.tokens !== undefined || value.timeout !== undefined, 'must name tokens, timeout, or both'),
);

const promptSchema = v.strictObject({ text: promptText });

const abortSchema = v.strictObject({
  reason: v.pipe(v.string('must be a string'), v.maxBytes(4096, 'must be at most 4096 bytes')),
});

const tokenCount = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const maximumTime = 8_640_000_000_000_000;

const progressSchema = v.object({
  cellId: v.exactOptional(v.string()),
  tokens: v.object({
    input: tokenCount,
    output: tokenCount,
    reasoning: tokenCount,
    cacheRead: tokenCount,
    cacheWrite: tokenCount,
    total: tokenCount,
  }),
  lastActivity: v.nullable(v.pipe(v.number(), v.minValue(0), v.maxValue(maximumTime))),
  waitingFor: v.optional(v.nullable(v.string()), null),
});

const alertSchema = v.object({ cellId: v.string(), memory: v.nullable(v.string()) });

/** Parses the input of the update `extend`; throws an Error whose message names the field. */
export const parseExtend = (value: unknown) => parse(extendSchema, value, 'extend update');

/** Parses the input of the update `prompt`; throws an Error whose message names the field. */
export const parsePrompt = (value: unknown) => parse(promptSchema, value, 'prompt update');

/** The reason of the signal `abort`. A signal cannot be refused, so anything else is an abort without a reason. */
export function abortReasonOf(value: unknown): string {
  const parsed = v.safeParse(abortSchema, value);
  return parsed.success && parsed.output.reason.trim() !== '' ? parsed.output.reason : 'aborted by an operator';
}

/** The input of the signal `cellProgress`; null for what is none, since a signal cannot be refused. */
export const progressOf = (value: unknown) => unlessMalformed(progressSchema, value);

/** The input of the signal `cellAlert`; null for what is none. */
export const alertOf = (value: unknown) => unlessMalformed(alertSchema, value);

function unlessMalformed<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> | null {
  const parsed = v.safeParse(schema, value);
  return parsed.success ? parsed.output : null;
}

function parse<Schema extends v.GenericSchema>(schema: Schema, value: unknown, of: string): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw new TypeError(faultOf(parsed.issues[0], of).message);
}
