import * as v from 'valibot';
import type { Colors } from './cli.ts';
import { harmless, oneLine } from './words.ts';

/** What of OpenCode's messages is shown; all else may be there. */
const transcript = v.array(
  v.looseObject({
    info: v.looseObject({ role: v.string() }),
    parts: v.array(
      v.looseObject({
        type: v.string(),
        text: v.optional(v.string()),
        tool: v.optional(v.string()),
        state: v.optional(
          v.looseObject({
            status: v.optional(v.string()),
            title: v.optional(v.string()),
            input: v.optional(v.unknown()),
            error: v.optional(v.string()),
          }),
        ),
      }),
    ),
  }),
);

/** A session as a person reads it: who said what, and which tools ran with what. */
export function renderTranscript(messages: unknown, colors: Colors): string {
  const parsed = v.parse(transcript, messages);
  return parsed
    .flatMap(({ info, parts }) => {
      const lines = parts.flatMap((part) => renderPart(part, colors));
      return lines.length === 0 ? [] : [colors.bold(info.role === 'user' ? '▌ prompt' : '▌ agent'), ...lines, ''];
    })
    .join('\n')
    .trimEnd();
}

type Part = v.InferOutput<typeof transcript>[number]['parts'][number];

function renderPart({ type, text, tool, state }: Part, colors: Colors): string[] {
  if (type === 'text' && text !== undefined && text.trim() !== '') return [harmless(text.trim())];
  if (type === 'reasoning' && text !== undefined && text.trim() !== '') return [colors.dim(harmless(text.trim()))];
  if (type !== 'tool') return [];
  const input = state?.input === undefined ? '' : oneLine(JSON.stringify(state.input), 160);
  const failed = state?.error === undefined ? '' : colors.red(` ${oneLine(state.error, 160)}`);
  return [`${colors.cyan(`→ ${tool ?? 'tool'}`)} ${input}${failed}`];
}
