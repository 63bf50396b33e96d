import * as v from 'valibot';
import { durationField } from '../domain/request.ts';
import { unknownVariables } from './template.ts';

const text = v.string('must be a string');

const wholeNumber = (least: number, most: number) =>
  v.pipe(
    v.number('must be a number'),
    v.integer('must be a whole number'),
    v.minValue(least, `must be at least ${least}`),
    v.maxValue(most, `must be at most ${most}`),
  );

const tokens = wholeNumber(0, 1_000_000_000);
const times = v.optional(wholeNumber(1, 1000));

const call = v.strictObject({
  /** The name of a tool as the agent knows it: write, edit, bash, read, … */
  tool: v.pipe(text, v.regex(/^[\w.-]{1,64}$/, 'is not a name for a tool')),
  arguments: v.optional(v.record(v.string(), v.unknown(), 'must be a map of arguments'), {}),
});

const turnFields = v.strictObject({
  reasoning: v.optional(text),
  text: v.optional(text),
  calls: v.optional(v.pipe(v.array(call, 'must be a list of calls'), v.nonEmpty('must not be empty; leave it out'))),
  /** Tokens of this call, each token in one kind only. Default: estimated from the characters. */
  usage: v.optional(
    v.strictObject({
      input: tokens,
      output: tokens,
      cacheRead: v.optional(tokens, 0),
      reasoning: v.optional(tokens, 0),
    }),
  ),
  /** Before the first byte of the answer, its headers included. */
  delay: v.optional(durationField),
  /** Between two chunks of the stream. */
  chunkDelay: v.optional(durationField),
  finish: v.optional(
    v.picklist(
      ['stop', 'length', 'tool_calls', 'content_filter'],
      'must be one of stop, length, tool_calls, content_filter',
    ),
  ),
  /** An HTTP error instead of an answer; with `times`, for that many tries only. */
  error: v.optional(
    v.strictObject({
      status: wholeNumber(400, 599),
      /** Seconds, sent as the header `retry-after`. */
      retryAfter: v.optional(wholeNumber(0, 86_400)),
      message: v.optional(text),
      /** The whole body, instead of the one made from the message. */
      body: v.optional(v.unknown()),
      times,
    }),
  ),
  /** The connection is broken after so many chunks; with `times`, for that many tries only. */
  cut: v.optional(v.strictObject({ afterChunks: wholeNumber(0, 1_000_000), times })),
  /** No answer at all: `true` sends the headers first, `before-headers` not even those. */
  silence: v.optional(v.union([v.literal(true), v.literal('before-headers')], 'must be true or before-headers')),
  /** An answer that is not JSON. */
  garbage: v.optional(v.literal(true, 'must be true; leave it out')),
});

type TurnFields = v.InferOutput<typeof turnFields>;

const turn = v.pipe(
  turnFields,
  v.check((value) => faultsOf(value).length <= 1, 'has more than one of error, cut, silence and garbage'),
  v.check((value) => hasContent(value) || !needsContent(value), 'needs text, reasoning or calls'),
  v.check(
    (value) => !hasContent(value) || needsContent(value),
    'has content that is never played: a fault without `times` is for ever',
  ),
  v.check(
    (value) => unknownVariables(value).length === 0,
    (issue) => `uses a variable that does not exist: {{${unknownVariables(issue.input).join('}}, {{')}}}`,
  ),
);

const script = v.strictObject({
  description: v.optional(text),
  /** One round for each message of the user. */
  rounds: v.pipe(
    v.array(
      v.strictObject({
        /** One turn for each call of the model within the round. */
        turns: v.pipe(v.array(turn, 'must be a list of turns'), v.nonEmpty('must not be empty')),
      }),
      'must be a list of rounds',
    ),
    v.nonEmpty('must not be empty'),
  ),
  /** What follows when the script has come to its end; `none` is an error that says so. */
  repeat: v.optional(
    v.picklist(['none', 'last-turn', 'last-round'], 'must be one of none, last-turn, last-round'),
    'none',
  ),
});

/** A file of scripts: what YAML or a caller gives, strictly; unknown fields are refused. */
export const scriptFile = v.strictObject({
  scripts: v.record(
    v.pipe(v.string(), v.regex(/^[A-Za-z0-9][\w.-]{0,62}$/, 'is not a name for a script')),
    script,
    'must be a map of scripts',
  ),
});

/** Scripts by name, as they are written. */
export type ScriptsInput = v.InferInput<typeof scriptFile>['scripts'];

/** Scripts by name, parsed: durations in milliseconds, defaults filled in. */
export type Scripts = Readonly<v.InferOutput<typeof scriptFile>['scripts']>;

/** What the model does in one session. */
export type Script = v.InferOutput<typeof script>;

/** What the model does in one call. */
export type Turn = v.InferOutput<typeof turn>;

function faultsOf(value: TurnFields): string[] {
  return Object.entries({ error: value.error, cut: value.cut, silence: value.silence, garbage: value.garbage })
    .filter(([, fault]) => fault !== undefined)
    .map(([name]) => name);
}

function hasContent(value: TurnFields): boolean {
  return value.text !== undefined || value.reasoning !== undefined || value.calls !== undefined;
}

/** Whether the content is ever played: a stream is cut in the middle of something, an error with `times` passes. */
function needsContent(value: TurnFields): boolean {
  if (value.silence !== undefined || value.garbage !== undefined) return false;
  return value.error === undefined || value.error.times !== undefined;
}
