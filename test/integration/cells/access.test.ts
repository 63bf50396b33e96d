import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { cellSecret } from '../../../src/cell/secret.ts';
import { serverPlace } from '../../../src/cell/server-place.ts';
import { cellMarker } from '../../../src/domain/names.ts';
import { socketOf } from '../../../src/supervisor/protocol.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { realKey } from '../../support/gateway.ts';
import { leasesIn } from '../../support/host-state.ts';
import { listeners, socketsOf } from '../../support/listeners.ts';
import { processesMarked, runningProcesses } from '../../support/processes.ts';
import { waitUntil } from '../../support/wait-until.ts';

const limits = { timeout: 480_000 };
const scripts = fileURLToPath(new URL('../../fixtures/scripts/messages.yaml', import.meta.url));

let fleet: Fleet;
let cellId: string;
let password: string;
/** The one that is held for the cell, and the one on which its server listens. */
let ports: number[];
beforeAll(async () => {
  fleet = await startFleet({ scripts, env: { CELLS_RUNTIME: 'process', SCRIPTED_API_KEY: realKey } });
  await fleet.start('waits');
  await waitUntil(() => fleet.model.ledger().length > 0, 120_000);
  const [lease] = await leasesIn(fleet.stateDirectory);
  if (lease?.port == null) throw new Error('the cell is not at work');
  cellId = lease.cellId;
  password = await cellSecret(fleet.stateDirectory, cellId);
  ports = [lease.port, await ownPortOf(cellId)];
}, 300_000);
afterAll(() => fleet?.[Symbol.asyncDispose]());

const basic = (user: string, word: string) => `Basic ${btoa(`${user}:${word}`)}`;

describe('the server of a cell', () => {
  test('answers nobody without its password, whatever is asked, on the held port and on its own', limits, async () => {
    const endpoints = [...(await describedEndpoints()), ...undescribed];
    expect(endpoints.length).toBeGreaterThan(100);
    const [port = 0, own = 0] = ports;
    const everywhere = [{}, { authorization: basic('opencode', 'wrong') }];
    const elsewhere: Record<string, string>[] = [
      { authorization: basic('opencode', '') },
      { authorization: basic('opencode', `${password}x`) },
      { authorization: basic('root', password.slice(0, -1)) },
      { authorization: `Bearer ${randomBytes(32).toString('base64url')}` },
      { authorization: 'Basic !' },
    ];
    const all = (asked: readonly Endpoint[], port: number, words: readonly Asker['headers'][]): (Endpoint & Asker)[] =>
      asked.flatMap((endpoint) => words.map((headers) => ({ port, headers, ...endpoint })));
    const tries = [
      ...all(endpoints, own, everywhere),
      ...all(endpoints, port, everywhere),
      ...all(undescribed, own, elsewhere),
      ...all(undescribed, port, elsewhere),
    ];
    const answered: string[] = [];
    for (let at = 0; at < tries.length; at += 16) {
      const some = tries.slice(at, at + 16);
      const statuses = await Promise.all(some.map(statusOf));
      for (const [index, { port: asked, method, path, headers }] of some.entries())
        if (statuses[index] !== 401)
          answered.push(`${asked} ${method} ${path} ${headers['authorization'] ?? 'without'}: ${statuses[index]}`);
    }
    expect(answered).toEqual([]);
    // With the password it does: nothing that was asked has ended it.
    for (const each of ports)
      expect(await statusOf({ port: each, method: 'GET', path: '/global/health', headers: known() })).toBe(200);
  });

  test('lets nobody in whose password stands in the address, a cookie or another header', limits, async () => {
    for (const port of ports) {
      for (const path of [`/session?password=${password}`, `/session?auth_token=wrong`, '/event?password=wrong'])
        expect(await statusOf({ port, method: 'GET', path: path.replace(password, 'x'), headers: {} })).toBe(401);
      const headers = { cookie: `password=${password}`, 'x-api-key': password, 'x-opencode-password': password };
      expect(await statusOf({ port, method: 'GET', path: '/session', headers })).toBe(401);
    }
  });
});

test('passwords, tokens and keys lie in files of mode 600, and stand on no command line', limits, async () => {
  const paths = cellPaths(fleet.stateDirectory, cellId);
  const { config: configFile } = await serverPlace(fleet.stateDirectory, cellId);
  const files = [paths.secret, paths.lease, configFile, socketOf(fleet.stateDirectory)];
  const modes = await Promise.all(files.map(async (file) => (await stat(file)).mode & 0o777));
  expect(modes).toEqual(files.map(() => 0o600));
  for (const directory of [fleet.stateDirectory, paths.directory])
    expect((await stat(directory)).mode & 0o777).toBe(0o700);

  const token = /"apiKey":"([\w-]{43})"/.exec(await readFile(configFile, 'utf8'))?.[1];
  if (token === undefined) throw new Error('the cell has no token of the gateway');
  const commands = (await runningProcesses()).map(({ command }) => command);
  expect(commands.some((command) => command.includes('serve --hostname 127.0.0.1'))).toBe(true);
  for (const secret of [password, token, realKey, btoa(`opencode:${password}`)])
    expect(commands.filter((command) => command.includes(secret))).toEqual([]);
});

const known = () => ({ authorization: basic('opencode', password) });

interface Asker {
  port: number;
  headers: Record<string, string>;
}

interface Endpoint {
  method: string;
  path: string;
  /** Asks for another protocol: a WebSocket. */
  upgrade?: boolean;
}

/** What the description leaves out: pages, other methods, and ways of writing a path that a router may read otherwise. */
const pages = [
  '/',
  '/doc',
  '/index.html',
  '/favicon.ico',
  '/unknown',
  '/session/unknown/extra',
  '/_app/x.js',
  '/assets/x.css',
];
const spellings = [
  '//session',
  '/session/',
  '/%73ession',
  '/./session',
  '/global/../session',
  '/session;x',
  '/SESSION',
  '/session%00',
];
const streams = ['/event', '/global/event', '/pty', '/metrics', '/health', '/.well-known/x', '/mcp', '/tui'];
const undescribed: Endpoint[] = [
  ...[...pages, ...spellings, ...streams].map((path) => ({ method: 'GET', path })),
  ...['HEAD', 'PUT', 'DELETE', 'PATCH', 'POST', 'TRACE', 'PROPFIND'].map((method) => ({ method, path: '/session' })),
  ...['/pty/x/connect', '/event', '/', '/unknown'].map((path) => ({ method: 'GET', path, upgrade: true })),
];

/** Every endpoint that the server itself describes, with `x` for what a path leaves open. */
async function describedEndpoints(): Promise<Endpoint[]> {
  const answer = await fetch(`http://127.0.0.1:${ports[0]}/doc`, { headers: known() });
  const { paths } = (await answer.json()) as { paths: Record<string, Record<string, unknown>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: path.replaceAll(/\{[^}]+\}/g, 'x') })),
  );
}

/** As it is written: a client for people would tidy the path up. Streams are left at once. */
async function statusOf({ port, method, path, headers, upgrade = false }: Endpoint & Asker): Promise<number> {
  const webSocket = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': createHash('md5').update(path).digest('base64'),
  };
  const asked = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: { ...headers, ...(upgrade ? webSocket : {}) },
    agent: false,
    signal: AbortSignal.timeout(30_000),
  });
  asked.end();
  const switched = once(asked, 'upgrade').then(
    () => 101,
    () => 0,
  );
  const status = await Promise.race([
    switched,
    once(asked, 'response').then(([response]) => (response as { statusCode: number }).statusCode),
  ]).catch(() => 0);
  asked.destroy();
  return status;
}

async function ownPortOf(mark: string): Promise<number> {
  const processes = await processesMarked(cellMarker, mark);
  const sockets = await Promise.all(processes.map(({ pid }) => socketsOf(pid)));
  const own = (await listeners()).find(({ inode }) => sockets.some((held) => held.has(inode)));
  if (own === undefined) throw new Error('the server of the cell listens nowhere');
  return own.port;
}
