import { normalize, resolve } from 'node:path';
import * as v from 'valibot';
import { millisecondsOf } from '../domain/duration.ts';

/** Made absolute. */
export const path = v.pipe(
  v.string(),
  v.transform((value) => resolve(value)),
);

/** A path, made absolute, or a URL as it is. */
export const place = v.pipe(
  v.string(),
  v.transform((value) => (/^([a-z][a-z0-9+.-]*:\/\/|[\w.-]+@[\w.-]+:)/i.test(value) ? value : resolve(value))),
);

/** Separated by commas or line breaks. */
export const places = v.pipe(
  v.string(),
  v.transform((value) =>
    value
      .split(/[,\n]/)
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  ),
  v.array(place),
);

const volumesAllowed =
  'absolute paths, each with another one after a colon where it is to be found elsewhere, separated by commas';
/** `path` or `path:target`, separated by commas or line breaks. */
export const volumes = v.pipe(
  v.string(),
  v.regex(/^[^:,\n]*(:[^:,\n]*)?([,\n][^:,\n]*(:[^:,\n]*)?)*$/, volumesAllowed),
  v.transform((value) =>
    value.split(/[,\n]/).flatMap((part) => {
      const [source = '', target = source] = part.trim().split(':');
      return source === '' ? [] : [{ source, target }];
    }),
  ),
  v.check((list) => list.every(({ source, target }) => isPlainPath(source) && isPlainPath(target)), volumesAllowed),
);

/** Absolute, and without a step back: what it names is what it says. */
const isPlainPath = (value: string): boolean => /^\/[^/]/.test(value) && normalize(value) === value;

/** `allowed` is what to say of anything else. */
export const wholeNumber = (least: number, most: number, allowed: string) =>
  v.pipe(
    v.string(),
    v.regex(/^\d+$/, allowed),
    v.transform(Number),
    v.minValue(least, allowed),
    v.maxValue(most, allowed),
  );

const portsAllowed = 'a range of ports such as 9000-9999, between 1024 and 65535';
/** Both ends belong to the range. */
export const ports = v.pipe(
  v.string(),
  v.regex(/^\d{1,5}-\d{1,5}$/, portsAllowed),
  v.transform((value) => {
    const [from = 0, to = 0] = value.split('-').map(Number);
    return { from, to };
  }),
  v.check(({ from, to }) => from >= 1024 && to <= 65_535 && from <= to, portsAllowed),
);

const sizeAllowed = 'a size such as 512m or 2g';
/** Bytes; without a unit as they are. */
export const size = v.pipe(
  v.string(),
  v.regex(/^\d{1,12}[kmgt]?$/i, sizeAllowed),
  v.transform((value) => Number.parseInt(value, 10) * 1024 ** ('kmgt'.indexOf(value.slice(-1).toLowerCase()) + 1)),
);

/** The name of an image of Docker. */
export const image = v.pipe(
  v.string(),
  v.regex(/^[\w][\w./:@-]*$/, 'the name of an image, such as registry.example/team/cells:1'),
);

const addressAllowed = 'host:port, such as 127.0.0.1:9464 or [::1]:9464';
/** Port 0 stands for any free one. */
export const address = v.pipe(
  v.string(),
  v.regex(/^(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/i, addressAllowed),
  v.transform((value) => {
    const colon = value.lastIndexOf(':');
    return { host: value.slice(0, colon).replaceAll(/[[\]]/g, ''), port: Number(value.slice(colon + 1)) };
  }),
  v.check(({ port }) => port <= 65_535, addressAllowed),
);

const durationAllowed = 'a duration such as 90s, 12h or 7d';
/** Milliseconds. */
export const duration = v.pipe(
  v.string(),
  v.check((value) => millisecondsOf(value) !== null, durationAllowed),
  v.transform((value) => millisecondsOf(value) ?? 0),
);
