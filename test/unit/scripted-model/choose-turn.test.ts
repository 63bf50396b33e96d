import { describe, expect, test } from 'vitest';
import { chooseTurn, type Choice } from '../../../src/scripted-model/choose-turn.ts';
import type { Conversation } from '../../../src/scripted-model/conversation.ts';
import { parseScripts } from '../../../src/scripted-model/load-scripts.ts';

const rounds = [{ turns: [{ text: '1.1' }, { text: '1.2' }] }, { turns: [{ text: '2.1' }, { text: '2.2' }] }];

const scripts = parseScripts({
  once: { rounds },
  turns: { rounds, repeat: 'last-turn' },
  rounds: { rounds, repeat: 'last-round' },
  here: { rounds: [{ turns: [{ calls: [{ tool: 'read', arguments: { filePath: '{{worktree}}/x' } }] }] }] },
});

const conversation = { kind: 'turn', session: '', fingerprint: '', prompt: '', worktree: null } as const;

const choose = (marker: string | null, round: number, turn: number): Choice =>
  chooseTurn(scripts, { ...conversation, marker, round, turn } satisfies Conversation);

const playedAt = (marker: string, round: number, turn: number): string => {
  const choice = choose(marker, round, turn);
  return choice.ok ? (choice.turn.text ?? '') : choice.code;
};

describe('the turn that is played', () => {
  test.for([
    ['once', '1.2', 'script_over', '2.1', 'script_over'],
    ['turns', '1.2', '1.2', '2.1', '2.2'],
    ['rounds', '1.2', 'script_over', '2.1', '2.1'],
  ])('follows the script %s and then its repeat', ([name = '', ...expected]) => {
    expect([playedAt(name, 1, 2), playedAt(name, 1, 3), playedAt(name, 2, 1), playedAt(name, 3, 1)]).toEqual(expected);
  });

  test('is refused for a marker that no script has, with the names that there are', () => {
    expect(choose('constructor', 1, 1)).toMatchObject({
      ok: false,
      code: 'unknown_script',
      message: 'there is no script "constructor"; the scripts are here, once, rounds, turns',
    });
  });

  test('is refused in words that OpenCode does not take for a fault that passes', () => {
    const named = parseScripts({ plain: { rounds }, 'rate-limited': { rounds }, 'http-503': { rounds } });
    const refusal = chooseTurn(named, { ...conversation, marker: 'server-error', round: 1, turn: 1 });
    expect(refusal).toMatchObject({ message: 'there is no such script; the scripts are plain, 2 more' });
    const over = chooseTurn(named, { ...conversation, marker: 'rate-limited', round: 3, turn: 1 });
    expect(over).toMatchObject({ ok: false, message: 'the script has no turn 1 in round 3: add it, or set repeat' });
  });

  test('is refused without a marker, unless there is a script named default', () => {
    expect(choose(null, 1, 1)).toMatchObject({ ok: false, code: 'no_script' });
    const withDefault = { ...scripts, ...parseScripts({ default: { rounds } }) };
    expect(chooseTurn(withDefault, { ...conversation, marker: null, round: 1, turn: 1 })).toMatchObject({
      name: 'default',
    });
    expect(chooseTurn(withDefault, { ...conversation, marker: 'x', round: 1, turn: 1 })).toMatchObject({ ok: false });
  });

  test('is refused when it needs a working directory that nobody named', () => {
    expect(choose('here', 1, 1)).toMatchObject({ ok: false, code: 'unknown_worktree' });
  });
});
