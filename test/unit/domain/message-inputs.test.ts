import { describe, expect, test } from 'vitest';
import { abortReasonOf, alertOf, parseExtend, parsePrompt, progressOf } from '../../../src/domain/message-inputs.ts';

describe('the input of an update', () => {
  test('is taken when it is as the contract says', () => {
    expect(parseExtend({ tokens: 500 })).toEqual({ tokens: 500 });
    expect(parseExtend({ timeout: '5m' })).toEqual({ timeout: 300_000 });
    expect(parsePrompt({ text: 'Write a test, too.' })).toEqual({ text: 'Write a test, too.' });
  });

  test.each([
    [{}, /^the extend update must name tokens, timeout, or both$/],
    [undefined, /the extend update must be an object/],
    [{ tokens: 0 }, /^tokens: /],
    [{ tokens: -5 }, /^tokens: /],
    [{ tokens: 1.5 }, /^tokens: /],
    [{ tokens: '500' }, /^tokens: /],
    [{ timeout: '30 parsecs' }, /^timeout: /],
    [{ timeout: '5' }, /^timeout: /],
    [{ timeout: -1 }, /^timeout: /],
    [{ tokenBudget: 500 }, /^tokenBudget is not a field of an extend update/],
  ])('extend refuses %j and names the field', (input, message) => {
    expect(() => parseExtend(input)).toThrow(message);
  });

  test.each([
    [{}, /^text is required/],
    [{ text: '' }, /^text: /],
    [{ text: ' \n' }, /^text: /],
    [{ text: 'x'.repeat(300 * 1024) }, /^text: must be at most 256 KiB/],
    [{ text: 5 }, /^text: /],
    [{ text: 'x', model: 'y' }, /^model is not a field/],
  ])('prompt refuses %# and names the field', (input, message) => {
    expect(() => parsePrompt(input)).toThrow(message);
  });
});

describe('what a host signals', () => {
  const tokens = { input: 5, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0, total: 5 };

  test('is taken as this version and earlier ones send it', () => {
    const progress = { tokens, lastActivity: 1_764_000_000_000, waitingFor: 'the provider' };
    expect(progressOf(progress)).toEqual(progress);
    expect(progressOf({ tokens, lastActivity: null })).toEqual({ tokens, lastActivity: null, waitingFor: null });
    expect(alertOf({ cellId: 'c', memory: null })).toEqual({ cellId: 'c', memory: null });
  });

  test.each([
    [undefined],
    [null],
    ['tokens'],
    [{ tokens }],
    [{ tokens, lastActivity: 1e300 }],
    [{ tokens: { ...tokens, total: -5 }, lastActivity: null }],
    [{ tokens: { ...tokens, total: 1.5 }, lastActivity: null }],
    [{ tokens: { total: 5 }, lastActivity: null }],
    [{ tokens, lastActivity: null, waitingFor: 5 }],
  ])('is nothing where it is malformed: %j', (input) => {
    expect(progressOf(input)).toBeNull();
    expect(alertOf(input)).toBeNull();
  });
});

describe('the reason of an abort', () => {
  test('is what the operator said', () => expect(abortReasonOf({ reason: 'wrong branch' })).toBe('wrong branch'));

  test.each([undefined, null, 'text', {}, { reason: ' ' }, { reason: 5 }, { reason: 'x'.repeat(5000) }])(
    'has words of its own when there is none that can be used',
    (input) => expect(abortReasonOf(input)).toBe('aborted by an operator'),
  );
});
