import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cellMarker, ownerMarker } from '../../../src/domain/names.ts';
import { createDockerRuntime } from '../../../src/runtimes/docker.ts';
import { type CellUnderTest, cellUnderTest } from '../../contracts/cell-under-test.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

const start = (cell: CellUnderTest, signal: AbortSignal) => cell.runtime.start(cell.spec(['true']), signal);
const exec = (cell: CellUnderTest, signal: AbortSignal) => cell.runtime.exec(cell.command(['true']), signal);

test.for([
  ['a start', 'the image', /^GET .*\/images\//, start, []],
  ['a start', 'the container that it makes', /^POST .*\/create/, start, ['DELETE /containers/made']],
  ['a command', 'what is left of its earlier runs', /^GET .*\/containers\/json/, exec, []],
  ['a command', 'the container that it makes', /^POST .*\/create/, exec, ['DELETE /containers/made']],
] as const)(
  '%s that is aborted while the engine hangs over %s ends, and is undone when the engine answers',
  async ([, , hangsAt, run, undone]) => {
    await using directory = await temporaryDirectory();
    await using engine = await hangingEngine(join(directory.path, 'engine.sock'), hangsAt);
    const docker = { host: engine.host, image: 'any', project: 'hung' };
    await using cell = await cellUnderTest((options) => createDockerRuntime({ ...options, docker }));
    const aborted = new AbortController();
    const ended = expect(run(cell, aborted.signal)).rejects.toThrow('the cell was cancelled');
    await waitUntil(() => engine.hangs());
    aborted.abort(new Error('the cell was cancelled'));
    await ended;
    engine.goOn();
    await waitUntil(() => undone.every((call) => engine.calls.includes(call)));
    expect(engine.calls.filter((call) => call.endsWith('/start'))).toEqual([]);
  },
);

test('the processes of a cell are ended also while the engine hangs', async () => {
  await using directory = await temporaryDirectory();
  await using engine = await hangingEngine(join(directory.path, 'engine.sock'), /^GET /);
  const docker = { host: engine.host, image: 'any', project: 'hung' };
  await using cell = await cellUnderTest((options) => createDockerRuntime({ ...options, docker }));
  const env = { ...cell.spec(['sleep']).env, [ownerMarker]: cell.owner, [cellMarker]: cell.cellId };
  const child = spawn('sleep', ['300'], { env, stdio: 'ignore' });
  const gone = once(child, 'exit', { signal: AbortSignal.timeout(20_000) });
  await once(child, 'spawn');
  const destroyed = cell.runtime.destroy(cell.cellId);
  await gone.finally(() => engine.goOn());
  expect(await destroyed).toBe(1);
});

/** An engine that makes a container and nothing else, and answers the calls of one kind only when it is told to go on. */
async function hangingEngine(socket: string, hangsAt: RegExp) {
  const calls: string[] = [];
  const waiting: (() => void)[] = [];
  let going = false;
  const server = createServer((request, response) => {
    const call = `${request.method} ${request.url?.split('?')[0]}`;
    calls.push(call);
    const respond = () => answer(call, response);
    if (hangsAt.test(call) && !going) waiting.push(respond);
    else respond();
  }).listen(socket);
  await once(server, 'listening');
  return {
    host: `unix://${socket}`,
    calls,
    hangs: () => waiting.length > 0,
    goOn() {
      going = true;
      for (const respond of waiting.splice(0)) respond();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function answer(call: string, response: ServerResponse): void {
  const [status, body] = /\/images\//.test(call)
    ? [200, { Config: { Env: null } }]
    : call.endsWith('/create')
      ? [201, { Id: 'made' }]
      : call.endsWith('/json')
        ? [200, []]
        : [404, { message: 'there is none' }];
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
