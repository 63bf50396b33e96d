import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { type Readable, type Transform, pipeline } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';

/** An answer as it can be counted, and searched for credentials. */
export interface PlainAnswer {
  /** Without a word of the encoding. */
  headers: IncomingHttpHeaders;
  body: Readable;
  /** An encoding that is not known, and so still on the body; null when the body is plain. */
  encoding: string | null;
}

const decoders: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
  ['zstd', createZstdDecompress],
]);

/** Takes the encoding off an answer: some providers compress it although they are asked not to. */
export function plainAnswer(answer: IncomingMessage): PlainAnswer {
  const { 'content-encoding': given = 'identity', ...headers } = answer.headers;
  const encoding = given.trim().toLowerCase();
  if (encoding === 'identity') return { headers, body: answer, encoding: null };
  const decoder = decoders.get(encoding)?.();
  if (decoder === undefined) return { headers, body: answer, encoding };
  // Whoever reads the body hears of its errors.
  return { headers, body: pipeline(answer, decoder, () => undefined), encoding: null };
}
