import { expect, test } from 'vitest';
import { ask, chat, routeTo, startGateway, startProvider } from '../../support/gateway.ts';

test('a request through the gateway does not ask for the usage of a stream where the provider refuses the question, and counts what it tells unasked', async () => {
  const told = { choices: [], usage: { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 } };
  await using provider = await startProvider((_, response) => {
    const { stream_options: asked } = JSON.parse(provider.requests.at(-1)?.body ?? '{}') as Record<string, unknown>; // an object
    if (asked === undefined)
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`data: ${JSON.stringify(told)}\n\n`);
    else response.writeHead(422).end('{"message":{"detail":[{"type":"extra_forbidden"}]}}');
  });
  await using place = await startGateway();
  const strict = routeTo(provider.url, { usageUnasked: true });
  const { cellId, door } = await place.open([strict, routeTo(provider.url, { provider: 'usual' })]);
  expect((await ask(door, chat('talks'))).status).toBe(200);
  expect(place.account(cellId)).toMatchObject({ tokens: { total: 25 }, estimatedTokens: 0 });
  expect((await ask(door, chat('talks'), { path: '/usual/v1/chat/completions' })).status).toBe(422);
});
