import type { ServerResponse } from 'node:http';

/** Why the gateway itself answers with an error, by the `code` in the body. */
export type RefusalCode =
  | 'no_such_path'
  | 'unauthorized'
  | 'body_too_large'
  | 'invalid_body'
  | 'model_not_allowed'
  | 'reaches_elsewhere'
  | 'token_budget_spent'
  | 'too_many_requests'
  | 'cooling_down'
  | 'provider_unreachable'
  | 'provider_silent'
  | 'gateway_failed';

const statuses: Readonly<Record<RefusalCode, number>> = {
  no_such_path: 404,
  unauthorized: 401,
  body_too_large: 413,
  invalid_body: 400,
  model_not_allowed: 403,
  reaches_elsewhere: 403,
  token_budget_spent: 402,
  too_many_requests: 429,
  cooling_down: 429,
  provider_unreachable: 502,
  provider_silent: 504,
  gateway_failed: 500,
};

/** The request is not passed on, or its answer cannot be. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  /** After how long the client may ask again, milliseconds; null where it makes no difference. */
  readonly retryAfterMs: number | null;

  constructor(code: RefusalCode, message: string, options: ErrorOptions & { retryAfterMs?: number } = {}) {
    super(message, options);
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/** Answers with an error that clients of both OpenAI and Anthropic can read. */
export function sendRefusal(response: ServerResponse, { code, message, retryAfterMs }: Refusal): void {
  const status = statuses[code];
  const type = status === 402 ? 'insufficient_quota' : status >= 500 ? 'api_error' : 'invalid_request_error';
  const error = { type, code, message: `agent-cells: ${message}`, param: null };
  if (retryAfterMs !== null) response.setHeader('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  // The body may not have been read to its end: what is left of it is not taken for another request.
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ type: 'error', error }));
}
