import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import { type Estimate, estimateRequest } from './estimate.ts';
import { type ModelPrice, type ProviderRoute, modelLabel } from './grant.ts';
import { type ModelApi, destinationOf } from './model-api.ts';
import { refuseReach } from './reach.ts';
import { Refusal } from './refusal.ts';

/** A request that may be passed on. */
export interface ModelRequest {
  api: ModelApi;
  route: ProviderRoute;
  /** Where it goes. */
  url: URL;
  model: string;
  price: ModelPrice | null;
  stream: boolean;
  estimate: Estimate;
  /** What is sent: what the client said, and the wish for the usage where it is not told without it. */
  body: string;
}

/** The largest body of a request, bytes. */
const largest = 8 * 1024 * 1024;

/**
 * Reads and judges a request of a cell.
 *
 * @param take hears of the bytes of its body before they are kept, and may refuse them
 * @throws Refusal
 */
export async function readModelRequest(
  request: IncomingMessage,
  routes: readonly ProviderRoute[],
  take: (bytes: number) => void,
): Promise<ModelRequest> {
  const destination = request.method === 'POST' ? destinationOf(request.url ?? '') : null;
  const route = routes.find(({ provider }) => provider === destination?.provider);
  if (destination === null || route === undefined) {
    // Its target is the client's word and is not repeated.
    throw new Refusal('no_such_path', 'there is no such path: only models are reached here');
  }
  const body = parseBody(await readBody(request, take));
  const { model } = body;
  if (!Object.hasOwn(route.models, model)) {
    const allowed = Object.keys(route.models).map((name) => modelLabel(route.provider, name));
    throw new Refusal('model_not_allowed', `this cell may not use that model; it may use ${allowed.join(', ')}`);
  }
  refuseReach(body, Object.keys(route.models));
  const stream = body['stream'] === true;
  const asksForUsage = destination.api === 'chat' && stream && route.usageUnasked !== true;
  return {
    api: destination.api,
    route,
    url: new URL(route.baseUrl.replace(/\/+$/, '') + destination.path),
    model,
    price: route.models[model] ?? null,
    stream,
    estimate: estimateRequest(body, destination.api),
    // Written anew: of a name that stands there twice, what was judged here is what the provider reads.
    body: JSON.stringify(asksForUsage ? withUsage(body) : body),
  };
}

const bodySchema = v.objectWithRest({ model: v.string() }, v.unknown());

function parseBody(text: string): v.InferOutput<typeof bodySchema> {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), bodySchema), text);
  if (parsed.success) return parsed.output;
  throw new Refusal('invalid_body', 'the body must be a JSON object that names a model');
}

/** OpenAI's streams end without their usage unless they are asked for it. */
function withUsage(body: Record<string, unknown>): Record<string, unknown> {
  const given = body['stream_options'];
  const options = typeof given === 'object' && given !== null ? given : {};
  return { ...body, stream_options: { ...options, include_usage: true } };
}

async function readBody(request: IncomingMessage, take: (bytes: number) => void): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const iterator: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of iterator) {
    size += chunk.length;
    if (size > largest) throw new Refusal('body_too_large', 'the body is larger than 8 MiB');
    take(chunk.length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
