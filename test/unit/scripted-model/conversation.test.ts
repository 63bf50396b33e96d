import { describe, expect, test } from 'vitest';
import { parseChatRequest } from '../../../src/scripted-model/chat-request.ts';
import { readConversation, type Conversation } from '../../../src/scripted-model/conversation.ts';

type Message = [role: string, content: unknown];

const tool = { type: 'function', function: { name: 'read' } };

function read(messages: Message[], tools: unknown[] = [tool], sessionId: string | null = null): Conversation {
  const body = { model: 'default', messages: messages.map(([role, content]) => ({ role, content })), tools };
  const parsed = parseChatRequest(JSON.stringify(body));
  if (!parsed.ok) throw new Error(parsed.message);
  return readConversation(parsed.request, sessionId);
}

const system: Message = [
  'system',
  'You are opencode.\n<env>\n  Working directory: /tmp/a b/c\n  Workspace root folder: /tmp\n</env>\nWorking directory: /other',
];
const first: Message = ['user', 'Fix it.\n[script: fix-sum]'];

describe('the place of a request in its conversation', () => {
  test('is the first turn of the first round for a first prompt', () => {
    expect(read([system, first])).toMatchObject({ kind: 'turn', marker: 'fix-sum', round: 1, turn: 1 });
  });

  test('moves on by a turn with each answer, however many tools it called', () => {
    expect(read([system, first, ['assistant', null], ['tool', 'x'], ['tool', 'y']])).toMatchObject({
      round: 1,
      turn: 2,
    });
  });

  test('takes what is left of a broken answer, and the answer that was given in its stead, for one', () => {
    const messages: Message[] = [system, first, ['assistant', 'I will'], ['assistant', 'I will fix it'], ['tool', 'x']];
    expect(read(messages)).toMatchObject({ round: 1, turn: 2 });
  });

  test('moves on by a round with each prompt, and keeps the script that the first one chose', () => {
    const messages: Message[] = [system, first, ['assistant', 'done'], ['user', 'It failed. [script: other]']];
    expect(read(messages)).toMatchObject({
      marker: 'fix-sum',
      round: 2,
      turn: 1,
      prompt: 'It failed. [script: other]',
    });
  });

  test('finds the marker in a message of several parts', () => {
    const parts = [{ type: 'text', text: 'Look' }, { type: 'image_url' }, { type: 'text', text: '[script:x.1]' }];
    expect(read([['user', parts]]).marker).toBe('x.1');
  });

  test('does not take the marker from the system prompt', () => {
    expect(
      read([
        ['system', '[script: a]'],
        ['user', 'hello'],
      ]).marker,
    ).toBeNull();
  });

  test('takes the marker from the summary that opens a compacted conversation', () => {
    const messages: Message[] = [
      ['user', 'What did we do so far?'],
      ['assistant', '[script: a] is being played.'],
      ['user', 'Go on'],
    ];
    expect(read([system, ...messages]).marker).toBe('a');
  });
});

describe('the working directory of a conversation', () => {
  test('is that of the environment block', () => {
    expect(read([system, first]).worktree).toBe('/tmp/a b/c');
  });

  test('is found without such a block, too', () => {
    expect(read([['developer', 'Working directory: /x'], first]).worktree).toBe('/x');
  });

  test('is unknown when the system prompt names none', () => {
    expect(
      read([
        ['system', 'Hello'],
        ['user', 'Working directory: /x'],
      ]).worktree,
    ).toBeNull();
  });
});

describe('calls beside the session', () => {
  const titles: Message[] = [
    ['system', 'You are a title generator. You output ONLY a thread title.'],
    ['user', 'Generate a title:'],
    first,
  ];

  test('for a title are told from turns', () => {
    expect(read(titles, [])).toMatchObject({ kind: 'title', marker: 'fix-sum' });
  });

  test('for a summary are told from turns', () => {
    expect(read([['system', 'You are a context summarization agent.'], first], []).kind).toBe('summary');
  });

  test('have no tools: an agent that is to write titles is at work', () => {
    expect(read(titles).kind).toBe('turn');
  });
});

describe('the identity of a conversation', () => {
  test('is the name that the client gives the session', () => {
    expect(read([system, first], [tool], 'ses_1').session).toBe('ses_1');
  });

  test('is otherwise what it began with, and stays the same as it grows', () => {
    const begun = read([system, first]).session;
    expect(read([system, first, ['assistant', 'x'], ['user', 'y']]).session).toBe(begun);
    expect(read([system, ['user', 'other']]).session).not.toBe(begun);
  });

  test('has a fingerprint that is equal for the same request alone', () => {
    expect(read([system, first]).fingerprint).toBe(read([system, first]).fingerprint);
    expect(read([system, first, ['assistant', 'x']]).fingerprint).not.toBe(read([system, first]).fingerprint);
  });
});
