import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  createServer,
  request as askHttp,
} from 'node:http';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Door } from '../../src/gateway/door.ts';
import { type CellAccount, type Gateway, type GatewayOptions, createGateway } from '../../src/gateway/gateway.ts';
import type { ProviderRoute } from '../../src/gateway/grant.ts';
import type { ScriptsInput } from '../../src/scripted-model/script.ts';
import { startScriptedModel } from '../../src/scripted-model/server.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** The credential of the routes: nothing but the provider may ever see it. */
export const realKey = 'sk-real-0123456789abcdef';

/** A gateway on a directory of its own, which ends with the scope. */
export interface GatewayUnderTest extends AsyncDisposable {
  gateway: Gateway;
  /** Opens the door of another cell: a socket, unless it is to be a port. */
  open(
    routes: ProviderRoute[],
    tokenBudget?: number,
    kind?: 'socket' | 'loopback',
  ): Promise<{ cellId: string; door: Door; ledger: string }>;
  account(cellId: string): CellAccount;
  /** Another gateway on the same directory, after this one was disposed of. */
  afterDeath(): Gateway;
}

export async function startGateway(
  limits: GatewayOptions['limits'] = {},
  heard: Pick<GatewayOptions, 'refused' | 'failed'> = {},
): Promise<GatewayUnderTest> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const ledgerOf = (cellId: string) => join(directory.path, cellId, 'ledger.jsonl');
  const start = () => stack.use(createGateway({ ledgerOf, limits, ...heard }));
  const gateway = start();
  const owned = stack.move();
  return {
    gateway,
    async open(routes, tokenBudget = 1_000_000, kind = 'socket') {
      const cellId = randomBytes(8).toString('hex');
      await mkdir(join(directory.path, cellId));
      const path = join(directory.path, cellId, 'out', 'model.sock');
      const door = await gateway.open({
        cellId,
        tokenBudget,
        routes,
        ...(kind === 'socket' ? { door: { kind, path } } : {}),
      });
      return { cellId, door, ledger: ledgerOf(cellId) };
    },
    account(cellId) {
      const account = gateway.accounts().find((entry) => entry.cellId === cellId);
      if (account === undefined) throw new Error(`no door is open for cell ${cellId}`);
      return account;
    },
    afterDeath: () => owned.use(createGateway({ ledgerOf, limits, ...heard })),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const usage = { input: 100, output: 10, cacheRead: 30, reasoning: 5 };
const scripts: ScriptsInput = {
  talks: { rounds: [{ turns: [{ text: 'Hello, I am here.', reasoning: 'Be kind.', usage }] }] },
  slow: { rounds: [{ turns: [{ text: 'x'.repeat(2_000), chunkDelay: 20, usage }] }] },
  limited: { rounds: [{ turns: [{ text: 'At last.', usage, error: { status: 429, retryAfter: 1, times: 1 } }] }] },
  overloaded: { rounds: [{ turns: [{ error: { status: 529, retryAfter: 3600 } }] }] },
  fails: { rounds: [{ turns: [{ error: { status: 500, message: 'out of order' } }] }] },
  cut: { rounds: [{ turns: [{ text: 'x'.repeat(240), cut: { afterChunks: 5 } }] }] },
  silent: { rounds: [{ turns: [{ silence: true }] }] },
  mute: { rounds: [{ turns: [{ silence: 'before-headers' }] }] },
};

/** A gateway before the scripted model, both of which end with the scope. */
export async function stageGateway(limits = {}) {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel({ scripts }));
  const place = stack.use(await startGateway(limits));
  const routes = [routeTo(model.url)];
  const owned = stack.move();
  /** What the model says it was asked for, tokens of all kinds. */
  const counted = () => model.ledger().reduce((sum, entry) => sum + (entry.usage?.total ?? 0), 0);
  return { model, place, routes, counted, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A route to a provider at a base URL, for its model `default`. */
export function routeTo(baseUrl: string, more: Partial<ProviderRoute> = {}): ProviderRoute {
  return {
    provider: 'scripted',
    baseUrl,
    headers: { authorization: `Bearer ${realKey}` },
    models: { default: { input: 1, output: 4, cacheRead: 0.1, cacheWrite: 0 } },
    ...more,
  };
}

export interface Provider extends AsyncDisposable {
  url: string;
  requests: { headers: IncomingHttpHeaders; path: string; body: string }[];
}

/** A provider that answers as the test wants, and keeps what it was asked. */
export async function startProvider(answer: RequestListener): Promise<Provider> {
  const requests: Provider['requests'] = [];
  const server = createServer((request, response) => {
    void textOf(request).then(
      (body) => {
        requests.push({ headers: request.headers, path: request.url ?? '', body });
        answer(request, response);
      },
      () => response.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    requests,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

export interface AskOptions {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Comes with this token in place of the one of the door. */
  token?: string;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** Whether the answer came to its end. */
  whole: boolean;
}

/** Asks through a door, and reads the answer as far as it comes. */
export async function ask(door: Door, body: unknown, options: AskOptions = {}): Promise<Answer> {
  const response = await begin(door, body, options);
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  response.on('error', () => undefined);
  await once(response, 'close').catch(() => undefined);
  return { status: response.statusCode ?? 0, headers: response.headers, text, whole: response.complete };
}

/** Asks through a door, and answers when the answer begins. */
export async function begin(door: Door, body: unknown, options: AskOptions = {}): Promise<IncomingMessage> {
  const { path = '/scripted/v1/chat/completions', method = 'POST', headers = {}, signal, token } = options;
  const place = door.kind === 'socket' ? { socketPath: door.path } : { host: '127.0.0.1', port: door.port };
  const own = token ?? (door.kind === 'loopback' ? door.token : undefined);
  const credential = own === undefined ? {} : { authorization: `Bearer ${own}` };
  const request = askHttp({
    ...place,
    path,
    method,
    agent: false,
    headers: { 'content-type': 'application/json', ...credential, ...headers },
    ...(signal ? { signal } : {}),
  });
  const answered = once(request, 'response');
  // The gateway may answer before it has read everything, and go.
  request.on('error', () => undefined);
  request.end(typeof body === 'string' ? body : JSON.stringify(body));
  const [response] = await answered;
  return response as IncomingMessage; // what the event carries
}

/** A chat request to the scripted model. */
export const chat = (script: string, more: object = {}) => ({
  model: 'default',
  stream: true,
  messages: [
    { role: 'system', content: 'Working directory: /tmp' },
    { role: 'user', content: `[script: ${script}]` },
  ],
  ...more,
});

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: string[] = [];
  for await (const chunk of request.setEncoding('utf8')) chunks.push(String(chunk));
  return chunks.join('');
}
