/** The shape of a request and its answer: OpenAI's chat completions, OpenAI's responses, Anthropic's messages. */
export type ModelApi = 'chat' | 'responses' | 'messages';

/** The only paths there are, below the name of the provider. */
const paths: ReadonlyMap<string, ModelApi> = new Map([
  ['/v1/chat/completions', 'chat'],
  ['/v1/responses', 'responses'],
  ['/v1/messages', 'messages'],
]);

/** Where a request wants to go. */
export interface Destination {
  provider: string;
  api: ModelApi;
  /** What is appended to the base URL of the provider. */
  path: string;
}

/** Reads the target of a request, exactly: no query, no other spelling of the same path. Null for anything else. */
export function destinationOf(target: string): Destination | null {
  const match = /^\/([A-Za-z0-9][A-Za-z0-9._-]{0,62})(\/v1\/[a-z/]+)$/.exec(target);
  const [, provider = '', path = ''] = match ?? [];
  const api = paths.get(path);
  return api === undefined ? null : { provider, api, path: path.slice('/v1'.length) };
}
