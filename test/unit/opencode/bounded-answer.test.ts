import { describe, expect, test } from 'vitest';
import { AnswerTooLarge, largestAnswer, largestEvent } from '../../../src/opencode/bounded-answer.ts';
import { followEvents } from '../../../src/opencode/events.ts';
import { connectServer } from '../../../src/opencode/server.ts';
import { readMessages } from '../../../src/opencode/session.ts';
import { watchTurn } from '../../../src/opencode/turn.ts';
import { answerSpaciously, startStandInServer } from '../../support/stand-in-server.ts';

const clientOf = ({ port }: { port: number }) => connectServer({ port, password: 'x', worktree: '/tmp' });

describe('a session that its agent has made very large', () => {
  const serverWith = (bytes: number) =>
    startStandInServer((request, response) => {
      if (request === 'GET /session/session/message') return answerSpaciously(response, bytes);
      return request === 'GET /session/status' ? {} : [];
    });

  test('is read up to the bound', async () => {
    await using server = await serverWith(largestAnswer);
    expect(await readMessages(clientOf(server), 'session', AbortSignal.timeout(8_000))).toEqual([]);
  });

  test('is not read beyond it', async () => {
    await using server = await serverWith(largestAnswer + 1);
    await expect(readMessages(clientOf(server), 'session', AbortSignal.timeout(8_000))).rejects.toThrow(AnswerTooLarge);
  });

  test('is not quoted at length, where the server answers with an error', async () => {
    await using server = await startStandInServer(
      (_, response) => void response.writeHead(500).end('x'.repeat(5_000_000)),
    );
    const reading = readMessages(clientOf(server), 'session', AbortSignal.timeout(8_000));
    await expect(reading).rejects.toThrow(/^the server would not show the session: x{1000}$/);
  });

  test('ends the watch over its agent, and is not asked for again and again', async () => {
    await using server = await serverWith(largestAnswer + 1);
    const watch = {
      sessionId: 'session',
      messageId: 'message',
      olderMessageId: null,
      budget: () => Infinity,
      lost: () => Promise.resolve(null),
      silenceLimit: 60_000,
      progress: () => undefined,
      provider: {
        failed: () => undefined,
        answered: () => undefined,
        coolsDown: () => null,
        holdsBack: () => false,
      },
    };
    await expect(watchTurn(clientOf(server), watch, AbortSignal.timeout(8_000))).rejects.toThrow(AnswerTooLarge);
  });
});

test('one event that is very large breaks the stream, which is opened again; any number of others do not', async () => {
  let streams = 0;
  await using server = await startStandInServer((request, response) => {
    if (request !== 'GET /event') return {};
    const send = (type: string, bytes = 0) =>
      response.write(`data: ${JSON.stringify({ type, properties: { text: ' '.repeat(bytes) } })}\n\n`);
    response.setHeader('content-type', 'text/event-stream');
    streams += 1;
    send('server.connected');
    if (streams === 2) return void send('last');
    for (const type of ['first', 'second', 'third']) send(type, largestEvent / 2);
    return void send('large', 2 * largestEvent);
  });
  const heard: string[] = [];
  const heardAll = new AbortController();
  const listener = {
    opened: () => void heard.push('opened'),
    event({ type }: { type: string }) {
      heard.push(type);
      if (type === 'last' || type === 'large') heardAll.abort();
    },
  };
  await followEvents(clientOf(server), listener, AbortSignal.any([heardAll.signal, AbortSignal.timeout(8_000)]));
  expect(heard).toEqual(['opened', 'first', 'second', 'third', 'opened', 'last']);
});
