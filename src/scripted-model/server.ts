import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { UserError } from '../domain/user-error.ts';
import { answerChat, type ChatDeps } from './answer-chat.ts';
import { createLedger, type LedgerEntry } from './ledger.ts';
import { loadScripts, parseScripts } from './load-scripts.ts';
import { scriptedModelName } from './opencode-provider.ts';
import { sendJson } from './play.ts';
import type { ScriptsInput } from './script.ts';
import { errorBody } from './wire.ts';

/** Scripts come from a YAML file, or from the program itself. */
export type ScriptedModelOptions = ({ file: string } | { scripts: ScriptsInput }) & {
  /** Default 0: any free one. */
  port?: number;
  /** Default `127.0.0.1`. There is no authentication: anybody who reaches the address may use it. */
  host?: string;
  /** Ends the server when it is aborted. */
  signal?: AbortSignal;
};

/** A running scripted model. Disposing of it closes every connection, and may be done twice. */
export interface ScriptedModel extends AsyncDisposable {
  /** The base URL for an OpenAI client, with `/v1`. */
  readonly url: string;
  readonly port: number;
  /** The names of the scripts, sorted. */
  readonly scripts: readonly string[];
  /** What was asked so far, oldest first: a copy. */
  ledger(): LedgerEntry[];
  /** Forgets what was asked, and with it how often a fault with `times` was played. */
  clearLedger(): void;
}

const mostBytes = 8 * 1024 * 1024;

/**
 * Starts an OpenAI-compatible server that plays scripts.
 *
 * @throws UserError `InvalidInput` for scripts that are not well-formed, or an address that cannot be had.
 */
export async function startScriptedModel(options: ScriptedModelOptions): Promise<ScriptedModel> {
  const { port = 0, host = '127.0.0.1', signal } = options;
  const scripts = 'file' in options ? await loadScripts(options.file) : parseScripts(options.scripts);
  signal?.throwIfAborted();
  const ledger = createLedger();
  const server = createServer((request, response) => void answer({ scripts, ledger }, request, response));
  // A client that sends its next request just when we close an idle connection sees it fail: let the client close it.
  server.keepAliveTimeout = 0;
  const address = await listen(server, port, host);
  const stop = () => void close(server);
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted === true) stop();
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address}/v1`,
    port: address,
    scripts: Object.keys(scripts).toSorted(),
    ledger: () => ledger.entries(),
    clearLedger: () => ledger.clear(),
    async [Symbol.asyncDispose]() {
      signal?.removeEventListener('abort', stop);
      await close(server);
    },
  };
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError('InvalidInput', `the scripted model cannot listen on ${host}:${port}: ${why}`, {
      try: 'choose another port, or 0 for any free one',
      cause,
    });
  }
  const address = server.address();
  // A server that listens on a port has an address object: a string is a Unix socket, null is not listening.
  return typeof address === 'object' && address !== null ? address.port : port;
}

async function close(server: Server): Promise<void> {
  // An error says that it was closed before, which is what was wanted.
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

async function answer(deps: ChatDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    await route(deps, request, response);
  } catch {
    // The client went while its request was read.
    response.destroy();
  }
}

async function route(deps: ChatDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0];
  switch (`${request.method} ${path}`) {
    case 'POST /v1/chat/completions': {
      const body = await readBody(request);
      if (body !== null) return answerChat(deps, request, response, body);
      // A client reads the answer only when it has sent all it has.
      request.resume();
      response.setHeader('connection', 'close');
      return sendJson(response, 413, errorBody(413, 'the body is larger than 8 MiB'));
    }
    case 'GET /v1/models':
      return sendJson(response, 200, {
        object: 'list',
        data: [{ id: scriptedModelName, object: 'model', created: 0, owned_by: 'scripted' }],
      });
    case 'GET /ledger':
      return sendJson(response, 200, { entries: deps.ledger.entries() });
    case 'DELETE /ledger':
      deps.ledger.clear();
      response.writeHead(204).end();
      return;
    default:
      return sendJson(response, 404, errorBody(404, `there is no ${request.method} ${path} here`));
  }
}

/** Null when there is more than may be. The request stays open, so that it can be answered. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  const iterator: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of iterator) {
    size += chunk.length;
    if (size > mostBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
