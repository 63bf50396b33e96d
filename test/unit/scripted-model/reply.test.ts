import { describe, expect, test } from 'vitest';
import { parseScripts } from '../../../src/scripted-model/load-scripts.ts';
import { replyOf } from '../../../src/scripted-model/reply.ts';
import type { ScriptsInput, Turn } from '../../../src/scripted-model/script.ts';
import { deltasOf } from '../../../src/scripted-model/wire.ts';

type TurnInput = NonNullable<ScriptsInput['a']>['rounds'][number]['turns'][number];

function turnOf(turn: TurnInput): Turn {
  const parsed = parseScripts({ a: { rounds: [{ turns: [turn] }] } })['a']?.rounds[0]?.turns[0];
  if (parsed === undefined) throw new Error('there is no turn');
  return parsed;
}

const request = {
  model: 'default',
  messages: [{ role: 'user', text: 'x'.repeat(10) }],
  hasTools: true,
  stream: true,
  wantsUsage: true,
};
const variables = { worktree: '/tmp/$& "w"', round: 2, turn: 3 };
const reply = (turn: TurnInput) => replyOf(turnOf(turn), variables, request);

describe('the reply of a turn', () => {
  test('has its variables filled in, at any depth, and what looks alike left alone', () => {
    const { calls, text } = reply({
      text: 'round {{round}}, turn {{turn}}, {{ name }} and {{{}}}',
      calls: [{ tool: 'write', arguments: { filePath: '{{worktree}}/a', list: [{ at: '{{worktree}}' }, 5, null] } }],
    });
    expect(text).toBe('round 2, turn 3, {{ name }} and {{{}}}');
    expect(JSON.parse(calls[0]?.arguments ?? '')).toEqual({
      filePath: '/tmp/$& "w"/a',
      list: [{ at: '/tmp/$& "w"' }, 5, null],
    });
  });

  test('is the same each time, and has call ids that are unique in the conversation', () => {
    const turn: TurnInput = { calls: [{ tool: 'read' }, { tool: 'read' }] };
    expect(reply(turn)).toEqual(reply(turn));
    expect(reply(turn).calls.map(({ id }) => id)).toEqual(['call_r2_t3_1', 'call_r2_t3_2']);
  });

  test('finishes as its content says, unless the script says otherwise', () => {
    expect(reply({ text: 'x' }).finish).toBe('stop');
    expect(reply({ calls: [{ tool: 'read' }] }).finish).toBe('tool_calls');
    expect(reply({ text: 'x', finish: 'length' }).finish).toBe('length');
  });

  test('uses what the script says, counted once by kind', () => {
    expect(reply({ text: 'x', usage: { input: 10, output: 5, cacheRead: 3, reasoning: 2 } }).usage).toEqual({
      input: 10,
      output: 5,
      reasoning: 2,
      cacheRead: 3,
      cacheWrite: 0,
      total: 20,
    });
  });

  test('uses a token for four characters when the script says nothing', () => {
    expect(reply({ text: 'abcde', reasoning: 'abc' }).usage).toMatchObject({
      input: 3,
      output: 2,
      reasoning: 1,
      total: 6,
    });
  });

  test('is streamed in pieces that make the whole again, characters of two units included', () => {
    const text = '😀'.repeat(30);
    const pieces = deltasOf(reply({ text })).flatMap((delta) => ('content' in delta ? [String(delta.content)] : []));
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe(text);
    expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
  });
});
