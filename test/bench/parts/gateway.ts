import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { type ClientRequestArgs, request as askHttp } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { cellPaths } from '../../../src/cell/paths.ts';
import type { Door } from '../../../src/gateway/door.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { supervisedGateway } from '../../../src/supervisor/supervised-gateway.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import type { GatewayFigures, WayFigures } from '../results.ts';
import type { Stage } from '../stage.ts';
import { distribution, sum } from '../statistics.ts';
import { cpuOf } from '../usage.ts';

const command = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const scripts = fileURLToPath(new URL('../gateway.yaml', import.meta.url));

/** Streams that run at the same time, as those of so many cells. */
const streams = 50;

/** The ways to the model, each by turns: what the machine does meanwhile meets all of them. */
const ways = ['direct', 'loopback', 'socket'] as const;
type Way = (typeof ways)[number];

/** Streams answers of a model through the gateway of a real supervisor, and without it. Model, gateway and client are processes of their own. */
export async function runGateway({ say, signal }: Stage, repeats: number): Promise<GatewayFigures> {
  await using stack = new AsyncDisposableStack();
  const { path: stateDirectory } = stack.use(await temporaryDirectory());
  const modelUrl = await startModel(stack);
  const supervisor = stack.use(await connectSupervisor(stateDirectory));
  stack.defer(async () => void (await supervisor.stop({ force: true })));
  const { pid } = await supervisor.info();
  const gateway = supervisedGateway(supervisor);
  const open = async (kind: Door['kind']) => {
    const cellId = randomBytes(8).toString('hex');
    const { directory, modelSocket: path } = cellPaths(stateDirectory, cellId);
    await mkdir(directory, { recursive: true });
    const door = kind === 'socket' ? ({ kind, path } as const) : ({ kind } as const);
    const routes = [{ provider: 'scripted', baseUrl: modelUrl, headers: {}, models: { default: null } }];
    return placeOf(await gateway.open({ cellId, door, tokenBudget: 1_000_000_000, routes }));
  };
  const direct = placeIn(modelUrl, '/v1/chat/completions');
  const places: Record<Way, Place[]> = {
    direct: Array.from({ length: streams }, () => direct),
    loopback: await Promise.all(Array.from({ length: streams }, () => open('loopback'))),
    socket: await Promise.all(Array.from({ length: streams }, () => open('socket'))),
  };
  const taken: Record<Way, StreamTimes[]> = { direct: [], loopback: [], socket: [] };
  const before = await cpuOf(pid);
  // The first round warms all of them up, and is not counted.
  for (let round = 0; round <= repeats; round += 1) {
    say(`${streams} streams by each way, ${round} of ${repeats}`);
    for (const way of ways) {
      const times = await Promise.all(places[way].map((place, index) => streamTwice(place, index, signal)));
      if (round > 0) taken[way].push(...times);
    }
  }
  const cpu = ((await cpuOf(pid))?.own ?? Number.NaN) - (before?.own ?? Number.NaN);
  const figures = (way: Way): WayFigures => ({
    firstToken: distribution(taken[way].map(({ firstToken }) => firstToken)),
    whole: distribution(taken[way].map(({ whole }) => whole)),
  });
  return {
    streams,
    rounds: repeats,
    pieces: sum(taken.direct.map(({ pieces }) => pieces)) / taken.direct.length,
    direct: figures('direct'),
    loopback: figures('loopback'),
    socket: figures('socket'),
    cpuPerRequest: cpu / (2 * 2 * streams * (repeats + 1)),
  };
}

async function startModel(stack: AsyncDisposableStack): Promise<string> {
  const model = execa(process.execPath, [command, 'scripted-model', '--script', scripts, '--json'], {
    stdin: 'ignore',
    stderr: 'ignore',
    reject: false,
  });
  stack.defer(async () => {
    model.kill('SIGTERM');
    await model;
  });
  const [line]: unknown[] = await once(model.stdout, 'data');
  // As the command prints it.
  return (JSON.parse(String(line)) as { url: string }).url;
}

/** Where a request goes, and what it shows there. */
interface Place extends Pick<ClientRequestArgs, 'host' | 'port' | 'socketPath' | 'path'> {
  token?: string;
}

function placeOf(door: Door): Place {
  const path = '/scripted/v1/chat/completions';
  if (door.kind === 'socket') return { socketPath: door.path, path };
  return { host: '127.0.0.1', port: door.port, path, token: door.token };
}

const placeIn = (url: string, path: string): Place => ({ host: new URL(url).hostname, port: new URL(url).port, path });

/** Milliseconds from the sending of a request. */
interface StreamTimes {
  firstToken: number;
  whole: number;
  pieces: number;
}

/** As long as what an agent sends with its instructions and its tools. */
const body = JSON.stringify({
  model: 'default',
  stream: true,
  stream_options: { include_usage: true },
  max_tokens: 8192,
  messages: [
    { role: 'system', content: `Working directory: /tmp\n${'Do what is asked, and nothing else. '.repeat(1_000)}` },
    { role: 'user', content: '[script: talks]' },
  ],
});

/** About as long as an answer takes that nobody holds up, milliseconds. */
const usualLength = 1_000;

/** One after the other, the first at a moment of its own: agents do not all ask at once. The second begins among all the others, and counts. */
async function streamTwice(place: Place, index: number, signal: AbortSignal): Promise<StreamTimes> {
  await sleep((index / streams) * usualLength, undefined, { signal });
  await streamOnce(place);
  return streamOnce(place);
}

async function streamOnce(place: Place): Promise<StreamTimes> {
  const sentAt = performance.now();
  const { token = 'not-asked-for', ...target } = place;
  const request = askHttp({
    ...target,
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
  });
  request.end(body);
  const [response] = await once(request, 'response');
  let firstToken: number | null = null;
  let pieces = 0;
  let end = '';
  for await (const piece of response as IncomingMessage) {
    // what the event carries
    firstToken ??= performance.now() - sentAt;
    pieces += 1;
    end = `${end}${String(piece)}`.slice(-20);
  }
  if (firstToken === null || !end.includes('[DONE]')) throw new Error('a stream was cut');
  return { firstToken, whole: performance.now() - sentAt, pieces };
}
