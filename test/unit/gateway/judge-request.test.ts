import { describe, expect, test } from 'vitest';
import { estimateRequest } from '../../../src/gateway/estimate.ts';
import { headersToClient, headersToProvider, withoutSecrets } from '../../../src/gateway/headers.ts';
import { type ModelApi, destinationOf } from '../../../src/gateway/model-api.ts';
import { costOf } from '../../../src/gateway/price.ts';
import { refuseReach } from '../../../src/gateway/reach.ts';

const route = {
  provider: 'acme',
  baseUrl: 'https://models.acme.test/v1',
  headers: { authorization: 'Bearer the-real-key' },
  models: { one: null },
};

describe('the target of a request', () => {
  test('is one of three paths of a provider', () => {
    expect(destinationOf('/acme/v1/chat/completions')).toEqual({
      provider: 'acme',
      api: 'chat',
      path: '/chat/completions',
    });
    expect(destinationOf('/acme/v1/responses')).toMatchObject({ api: 'responses', path: '/responses' });
    expect(destinationOf('/acme/v1/messages')).toMatchObject({ api: 'messages', path: '/messages' });
  });

  test.for([
    '/v1/chat/completions',
    '/acme/v1/chat/completions/',
    '/acme/v1/chat/completions?api-version=1',
    '/acme/v1//chat/completions',
    '/acme/v1/chat/../files',
    '/acme/v1/chat%2fcompletions',
    '/acme/v1/files',
    '/acme/v1/models',
    '/acme/v1/responses/resp_1',
    '/acme/../other/v1/messages',
    '//acme/v1/messages',
    'http://elsewhere.test/acme/v1/messages',
    '*',
    '',
  ])('is not %j', (target) => {
    expect(destinationOf(target)).toBeNull();
  });
});

describe('a body', () => {
  const address = 'https://elsewhere.test/a';
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    properties: { url: { type: 'string', default: address, enum: [address] } },
  };
  const ask = (body: Record<string, unknown>) => () => refuseReach(body, ['one']);

  test.for<Record<string, unknown>>([
    { models: ['one', 'another'] },
    { mcp_servers: [{ url: 'https://elsewhere.test' }] },
    { plugins: [{ id: 'web' }] },
    { web_search_options: {} },
    { background: true },
    { tools: [{ type: 'web_search' }] },
    { tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] },
    { tools: [{ type: 'code_execution_20250825' }] },
    { tools: [{ type: 'mcp', server_url: 'https://elsewhere.test' }] },
    { tools: ['web_search'] },
    { tools: { type: 'web_search' } },
    {
      messages: [
        { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://elsewhere.test/?secret' } }] },
      ],
    },
    { messages: [{ content: [{ type: 'image', source: { type: 'url', url: 'https://elsewhere.test/?secret' } }] }] },
    { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'https://elsewhere.test/?secret' }] }] },
    { input: [{ content: [{ type: 'input_file', file_url: 'https://elsewhere.test/?secret' }] }] },
    { input: [{ type: 'function_call_output', output: [{ type: 'input_image', image_url: 'elsewhere.test/a.png' }] }] },
    { type: 'tool_use', input: [{ content: [{ type: 'input_image', image_url: 'https://elsewhere.test' }] }] },
    { messages: [{ content: [{ type: 'document_url', document_url: 'https://elsewhere.test/?secret' }] }] },
    { messages: [{ content: [{ type: 'input_audio', input_audio: 'https://elsewhere.test/?secret' }] }] },
    { messages: [{ content: [{ type: 'input_audio', input_audio: { data: 'https://elsewhere.test/?secret' } }] }] },
    { messages: [{ content: [{ input_audio: { type: 'text', data: 'https://elsewhere.test/?secret' } }] }] },
    { messages: [{ content: [{ type: 'file', file: { file_data: 'https://elsewhere.test/?secret' } }] }] },
    { messages: [{ content: [{ type: 'file', file: { file_data: ' HTTPS:\\\\elsewhere.test/?secret' } }] }] },
    { messages: [{ content: [{ type: 'file', file: { file_data: 'gs://elsewhere/secret' } }] }] },
    { search_parameters: { mode: 'on', sources: [{ type: 'rss', links: ['https://elsewhere.test/?secret'] }] } },
    { documents: ['https://elsewhere.test/?secret'] },
    { prompt: { id: 'pmpt_1', variables: { x: { type: 'input_image', image_url: 'https://elsewhere.test' } } } },
    { tools: [{ type: 'shell', environment: { type: 'container_auto' } }] },
    { tools: [{ type: 'shell', environment: 'container_auto' }] },
  ])('that would make the provider reach further than its model is refused: %j', (body) => {
    expect(ask(body)).toThrow(/reach further than its model/);
  });

  test.for<Record<string, unknown>>([
    { models: ['one'] },
    { background: false, plugins: null },
    {
      tools: [
        { type: 'function', function: { name: 'bash' } },
        { name: 'bash', input_schema: {} },
        { type: 'bash_20250124' },
        { type: 'shell' },
        { type: 'shell', environment: { type: 'local' } },
      ],
    },
    { tools: [{ type: 'function', function: { name: 'a', description: address, parameters: schema } }] },
    { tools: [{ type: 'function', name: 'a', description: address, parameters: schema }] },
    { tools: [{ name: 'a', description: address, input_schema: schema }] },
    { response_format: { type: 'json_schema', json_schema: { name: 'a', description: address, schema } } },
    { text: { format: { type: 'json_schema', name: 'a', schema } } },
    { system: address, messages: [{ role: 'user', content: address }] },
    { system: [{ type: 'text', text: address, cache_control: { type: 'ephemeral' } }] },
    { instructions: address, input: address },
    { messages: [{ content: [{ type: 'text', text: address }] }] },
    { messages: [{ role: 'assistant', content: address, reasoning: address, reasoning_content: address }] },
    { messages: [{ reasoning_details: [{ type: 'reasoning.text', text: address }, { summary: address }] }] },
    { messages: [{ role: 'tool', tool_call_id: 'functions.fetch:0', content: address }] },
    { messages: [{ content: [{ type: 'thinking', thinking: address, signature: 'AA+/' }] }] },
    { messages: [{ content: [{ type: 'tool_result', tool_use_id: 'a', content: address }] }] },
    { messages: [{ content: [{ type: 'tool_result', content: [{ type: 'text', text: address }] }] }] },
    { messages: [{ content: [{ type: 'tool_use', input: { urls: [address], deep: { url: address } } }] }] },
    { messages: [{ content: [{ type: 'document', title: address, source: { type: 'text', data: address } }] }] },
    {
      messages: [{ content: [{ type: 'file', file: { filename: address, file_data: 'data:text/plain;base64,AA' } }] }],
    },
    { messages: [{ content: [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }] }] },
    { input: [{ type: 'function_call', call_id: 'a', name: 'fetch', arguments: address }] },
    { input: [{ type: 'function_call_output', call_id: 'a', output: address }] },
    { input: [{ type: 'custom_tool_call', name: 'a', input: address }] },
    { input: [{ type: 'local_shell_call', action: { type: 'exec', command: ['curl', address] } }] },
    { input: [{ type: 'shell_call_output', output: [{ stdout: address, stderr: address }] }] },
    { input: [{ type: 'apply_patch_call', operation: { type: 'create_file', path: 'a', diff: `+${address}` } }] },
    { input: [{ type: 'reasoning', summary: [{ type: 'summary_text', text: address }], encrypted_content: 'AA+/' }] },
    { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:image/png;base64,AAAA' }] }] },
    { messages: [{ role: 'user', content: 'see https://elsewhere.test' }] },
    { messages: [{ content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] }] },
    { messages: [{ content: [{ type: 'tool_use', input: { url: 'https://elsewhere.test' } }] }] },
    { messages: [{ tool_calls: [{ function: { name: 'fetch', arguments: '{"url":"https://elsewhere.test"}' } }] }] },
    { input: 'see https://elsewhere.test' },
  ])('of an agent at work is not: %j', (body) => {
    expect(ask(body)).not.toThrow();
  });
});

describe('the headers', () => {
  test('of a client lose every credential, and get ours', () => {
    const client = {
      authorization: 'Bearer of-the-cell',
      'x-api-key': 'of-the-cell',
      cookie: 'a=b',
      host: '127.0.0.1:8080',
      'openai-organization': 'somebody-else',
      'proxy-authorization': 'Basic x',
      connection: 'upgrade',
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      'x-session-id': 'ses_1',
    };
    expect(headersToProvider(client, route, '{"é":1}')).toEqual({
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      'x-session-id': 'ses_1',
      'accept-encoding': 'identity',
      authorization: 'Bearer the-real-key',
      'content-length': 8,
    });
  });

  test('ask for an answer that can be counted, whatever the route says', () => {
    const headers = { ...route.headers, 'accept-encoding': 'gzip' };
    expect(headersToProvider({}, { ...route, headers }, '{}')['accept-encoding']).toBe('identity');
  });

  test('of a provider that reach the client set no cookie and lead nowhere', () => {
    const provider = {
      'content-type': 'text/event-stream',
      'set-cookie': ['a=b'],
      location: 'https://elsewhere.test',
      'x-ratelimit-remaining-tokens': '5',
      'retry-after': '3',
      'transfer-encoding': 'chunked',
    };
    expect(headersToClient(provider)).toEqual({
      'content-type': 'text/event-stream',
      'x-ratelimit-remaining-tokens': '5',
      'retry-after': '3',
    });
  });
});

test('an error that repeats the key is told without it', () => {
  expect(withoutSecrets('{"error":"Bearer the-real-key: the-real-key is wrong"}', route)).toBe(
    '{"error":"***: *** is wrong"}',
  );
});

describe('the estimate of a request', () => {
  const bytesOf = (body: object) => Buffer.byteLength(JSON.stringify(body));

  test('takes four characters for a token, and a byte for one at most, with its longest answers', () => {
    const body = { model: 'one', max_tokens: 300, messages: [{ content: '字'.repeat(4000) }] };
    const input = Math.ceil(JSON.stringify(body).length / 4);
    expect(estimateRequest(body, 'messages')).toEqual({ input, most: bytesOf(body) + 300 });
    expect(bytesOf(body)).toBeGreaterThan(12_000);
    const several = { n: 3, max_tokens: 300 };
    expect(estimateRequest(several, 'chat').most).toBe(bytesOf(several) + 900);
  });

  test.for<[ModelApi, object, number]>([
    ['chat', { max_tokens: 7 }, 7],
    ['chat', { max_completion_tokens: 7 }, 7],
    ['chat', { max_tokens: 1, max_completion_tokens: 7 }, 7],
    ['chat', { max_tokens: 7, max_completion_tokens: 1 }, 7],
    ['chat', { max_output_tokens: 7 }, Infinity],
    ['chat', { max_tokens: -1 }, Infinity],
    ['messages', { max_tokens: 7, max_completion_tokens: 9 }, 7],
    ['messages', { max_completion_tokens: 7, max_output_tokens: 7 }, Infinity],
    ['responses', { max_output_tokens: 7, max_tokens: 9 }, 7],
    ['responses', { max_tokens: 7, max_completion_tokens: 7 }, Infinity],
  ])('takes for the limit of an answer what its API reads, and the larger of two: %s %j', ([api, body, limit]) => {
    expect(estimateRequest({ ...body }, api).most).toBe(bytesOf(body) + limit);
  });

  test.for<Record<string, unknown>>([
    { previous_response_id: 'resp_1' },
    { conversation: 'conv_1' },
    {
      input: [
        { role: 'user', content: 'Go on.' },
        { type: 'item_reference', id: 'msg_1' },
      ],
    },
    { input: [{ id: 'msg_1' }] },
  ])('knows no most where the provider adds input that is not in the body: %j', (more) => {
    const body = { max_output_tokens: 7, input: 'Go on.' };
    expect(estimateRequest(body, 'responses').most).toBe(bytesOf(body) + 7);
    expect(estimateRequest({ ...body, ...more }, 'responses').most).toBe(Infinity);
  });

  test('does not take the encoding of an image for text', () => {
    const url = `data:image/png;base64,${'A'.repeat(1_000_000)}`;
    expect(estimateRequest({ messages: [{ content: [{ image_url: { url } }] }] }, 'chat').input).toBeLessThan(3_000);
  });
});

test('the cost is known where the price is', () => {
  const tokens = { input: 1000, output: 200, reasoning: 300, cacheRead: 4000, cacheWrite: 100, total: 5600 };
  const price = { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 };
  expect(costOf(tokens, price)).toBeCloseTo(0.003 + 0.0075 + 0.0012 + 0.000_375, 9);
  expect(costOf(tokens, null)).toBeNull();
});
