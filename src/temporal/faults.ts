import { isGrpcServiceError } from '@temporalio/client';
import { NamespaceNotFoundError, WorkflowNotFoundError } from '@temporalio/common';
import { UserError, type UserErrorCode } from '../domain/user-error.ts';

/** Runs a request to Temporal, and puts what a person can mend into words: an unknown cell, a server that is gone or refuses. */
export async function askTemporal<T>(workflowId: string | null, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw userErrorOf(error, workflowId) ?? error;
  }
}

/** Whether a request failed because the server cannot be reached just now. */
export const isUnreachable = (error: unknown): boolean => grpcCodeOf(error) === codes.unavailable;

/** gRPC's own numbers. */
const codes = { invalidArgument: 3, notFound: 5, permissionDenied: 7, unavailable: 14, unauthenticated: 16 };

function userErrorOf(cause: unknown, workflowId: string | null): UserError | null {
  if (cause instanceof WorkflowNotFoundError || (workflowId !== null && grpcCodeOf(cause) === codes.notFound)) {
    const name = workflowId ?? 'this id';
    return new UserError('CellNotFound', `there is no cell ${name}, or it ended before it could be asked`, {
      try: 'see which there are with `cells list`',
      cause,
    });
  }
  const code = cause instanceof NamespaceNotFoundError ? codes.notFound : grpcCodeOf(cause);
  const known = code === null ? undefined : refusals.get(code);
  if (known === undefined) return null;
  const [name, what, hint] = known;
  return new UserError(name, `the Temporal server ${what} (${messageOf(cause)})`, { try: hint, cause });
}

const access = 'check TEMPORAL_NAMESPACE, TEMPORAL_API_KEY and the TLS settings';

const refusals = new Map<number, readonly [UserErrorCode, what: string, hint: string]>([
  [
    codes.unavailable,
    ['TemporalUnreachable', 'cannot be reached', 'check that it runs, and TEMPORAL_ADDRESS; `cells doctor` tells more'],
  ],
  [codes.permissionDenied, ['TemporalRefused', 'refuses the request', access]],
  [codes.unauthenticated, ['TemporalRefused', 'refuses the request', access]],
  [
    codes.notFound,
    [
      'TemporalRefused',
      'does not know the namespace',
      'check TEMPORAL_NAMESPACE, or create it: temporal operator namespace create',
    ],
  ],
  [
    codes.invalidArgument,
    [
      'TemporalRefused',
      'does not understand the request',
      'are the search attributes registered? `cells doctor` says how',
    ],
  ],
]);

function grpcCodeOf(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  return isGrpcServiceError(error) ? error.code : grpcCodeOf(error.cause);
}

function messageOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (inner instanceof Error) return isGrpcServiceError(inner) ? inner.details : inner.message;
  return String(inner);
}
