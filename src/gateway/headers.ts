import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { ProviderRoute } from './grant.ts';

/** What of a client's headers reaches the provider: no credentials, no cookies, no organisation of somebody else. */
const passedOn = [
  'accept',
  'anthropic-beta',
  'anthropic-version',
  'content-type',
  'user-agent',
  'x-parent-session-id',
  'x-session-affinity',
  'x-session-id',
];

/** What of a provider's headers reaches the client. */
const passedBack = /^(content-type|cache-control|retry-after(-ms)?|(x-)?request-id|.*ratelimit.*)$/;

/** The headers of a request to the provider. Those of the route are ours, and come behind those of the client. */
export function headersToProvider(
  client: IncomingHttpHeaders,
  route: ProviderRoute,
  body: string,
): OutgoingHttpHeaders {
  const own = Object.fromEntries(
    passedOn.flatMap((name) => (client[name] === undefined ? [] : [[name, client[name]]])),
  );
  return {
    ...own,
    ...route.headers,
    // What is compressed has to be unpacked to be counted.
    'accept-encoding': 'identity',
    'content-length': Buffer.byteLength(body),
  };
}

/** The headers of an answer to the client. */
export const headersToClient = (provider: IncomingHttpHeaders): OutgoingHttpHeaders =>
  Object.fromEntries(Object.entries(provider).filter(([name]) => passedBack.test(name)));

/** Takes the credentials of a route out of a text: some providers repeat in an error what they were given. */
export function withoutSecrets(text: string, route: ProviderRoute): string {
  const secrets = Object.values(route.headers).flatMap((value) => [value, value.replace(/^\w+ /, '')]);
  return secrets.filter(({ length }) => length >= 6).reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}
