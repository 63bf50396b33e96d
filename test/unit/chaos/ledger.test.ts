import { describe, expect, test } from 'vitest';
import type { LedgerEntry } from '../../../src/scripted-model/ledger.ts';
import { askedAgain } from '../../chaos/ledger.ts';
import type { Pair } from '../../chaos/pair.ts';
import { resultOf } from '../../support/results.ts';

const pair: Pair = { fault: 'a fault', step: 'execute', verdicts: ['committed'] };

const asked = (session: string, round: number, turn: number, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
  id: 1,
  at: 0,
  durationMs: 1,
  status: 200,
  outcome: 'finished',
  usage: null,
  kind: 'turn',
  script: 'works',
  marker: 'works',
  round,
  turn,
  try: 1,
  session,
  fingerprint: null,
  prompt: `prompt ${round}`,
  model: null,
  ...more,
});

const judge = (turns: LedgerEntry[], more: Partial<Pair> = {}, respawns = 0) =>
  askedAgain({ pair: { ...pair, ...more }, turns: () => turns }, resultOf({ respawns }));

describe('what a model was asked', () => {
  test('once each is as it should be, and so is a turn that was not answered in full', () => {
    const cut = asked('one', 1, 2, { outcome: 'client-gone' });
    expect(judge([asked('one', 1, 1), cut, asked('one', 1, 2)])).toEqual({ promptsTwice: 0, problems: [] });
  });

  test('twice in a session is a prompt that was sent twice', () => {
    const again = asked('one', 2, 1, { prompt: 'prompt 1' });
    expect(judge([asked('one', 1, 1), again]).promptsTwice).toBe(1);
    expect(judge([asked('one', 1, 1), again], { step: 'repair' }).promptsTwice).toBe(1);
  });

  test('in a second session is a prompt that was sent twice, unless the cell was made anew', () => {
    const turns = [asked('one', 1, 1), asked('two', 1, 1)];
    expect(judge(turns).promptsTwice).toBe(1);
    expect(judge(turns, { respawns: 1 }).promptsTwice).toBe(1);
    expect(judge(turns, { respawns: 1 }, 1).promptsTwice).toBe(0);
  });

  test('again after a full answer is wrong, unless the server died over it', () => {
    const turns = [asked('one', 1, 1), asked('one', 1, 1)];
    expect(judge(turns).problems).toEqual(['turn 1.1 was answered 2 times']);
    expect(judge(turns, { turnsLost: 1 }).problems).toEqual([]);
  });
});
