import { isGrpcServiceError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { UserError } from '../domain/user-error.ts';

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
  const message = messageOf(cause);
  switch (grpcCodeOf(cause)) {
    case codes.unavailable:
      return new UserError('TemporalUnreachable', `the Temporal server cannot be reached (${message})`, {
        try: 'check that it runs, and TEMPORAL_ADDRESS; `cells doctor` tells more',
        cause,
      });
    case codes.permissionDenied:
    case codes.unauthenticated:
      return new UserError('TemporalRefused', `the Temporal server refuses the request (${message})`, {
        try: 'check TEMPORAL_NAMESPACE, TEMPORAL_API_KEY and the TLS settings',
        cause,
      });
    case codes.notFound:
      return new UserError('TemporalRefused', `the Temporal server does not know the namespace (${message})`, {
        try: 'check TEMPORAL_NAMESPACE, or create it: temporal operator namespace create',
        cause,
      });
    case codes.invalidArgument:
      return new UserError('TemporalRefused', `the Temporal server does not understand the request (${message})`, {
        try: 'are the search attributes registered? `cells doctor` says how',
        cause,
      });
  }
  return null;
}

function grpcCodeOf(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  return isGrpcServiceError(error) ? error.code : grpcCodeOf(error.cause);
}

function messageOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (inner instanceof Error) return isGrpcServiceError(inner) ? inner.details : inner.message;
  return String(inner);
}
