import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

/** Signs itself, for 127.0.0.1 until 2120: git trusts it where `GIT_SSL_CAINFO` names it. */
export const certificate = fileURLToPath(new URL('../fixtures/tls/certificate.pem', import.meta.url));
const key = fileURLToPath(new URL('../fixtures/tls/key.pem', import.meta.url));

export interface GitServer extends AsyncDisposable {
  /** Host and port. */
  host: string;
  /** What came as `authorization`, request by request. */
  asked: (string | undefined)[];
}

/** A server for git that speaks https, on a port of 127.0.0.1, until the scope ends. */
export async function startGitServer(answer: RequestListener): Promise<GitServer> {
  const asked: GitServer['asked'] = [];
  const server = createServer({ key: await readFile(key), cert: await readFile(certificate) }, (request, response) => {
    asked.push(request.headers.authorization);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    host: `127.0.0.1:${address.port}`,
    asked,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Sends whoever brings credentials, whichever, to another server or another path. */
export const sendOn =
  (to: (url: string) => string): RequestListener =>
  (request, response) =>
    request.headers.authorization === undefined
      ? askForCredentials(response)
      : response.writeHead(302, { location: to(request.url ?? '/') }).end();

/**
 * Serves a repository, by git's own program for that, to whoever knows the credentials; to everybody where there are none.
 *
 * @param serving waited for before each answer
 */
export const serveRepository =
  (credentials: string | null, path: string, serving: () => Promise<void>): RequestListener =>
  (request, response) => {
    const answer = async () => {
      await serving();
      if (credentials !== null && request.headers.authorization !== `Basic ${btoa(credentials)}`)
        return askForCredentials(response);
      const { pathname, search } = new URL(request.url ?? '/', 'https://here');
      const env = {
        GIT_PROJECT_ROOT: path,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: pathname.replace(/^\/\w+\//, '/.git/'),
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      };
      const { stdout } = await execa('git', ['http-backend'], {
        env,
        input: await buffer(request),
        encoding: 'buffer',
      });
      const said = Buffer.from(stdout);
      const end = said.indexOf('\r\n\r\n');
      const headers = said.toString('latin1', 0, end).split('\r\n');
      const entries = headers.map((line) => line.split(': ', 2) as [string, string]); // as a program of that kind writes them
      const { Status: status = '200', ...rest } = Object.fromEntries(entries);
      return response.writeHead(Number.parseInt(status), rest).end(said.subarray(end + 4));
    };
    answer().catch(() => response.destroy());
  };

const askForCredentials = (response: ServerResponse): ServerResponse =>
  response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
