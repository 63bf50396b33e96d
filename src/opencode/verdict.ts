import type { AssistantMessage } from '@opencode-ai/sdk/v2/types';

/** How a turn of the agent ended. */
export type TurnEnd =
  | { kind: 'finished' }
  | { kind: 'budget-spent' }
  | { kind: 'agent-failed'; reason: string }
  | { kind: 'model-unavailable'; reason: string };

type SessionError = NonNullable<AssistantMessage['error']>;

/** Judges the last assistant message of a session that is idle. */
export function judgeMessage(message: AssistantMessage): TurnEnd {
  if (message.error) return judgeError(message.error);
  const cutShort = unfinished[message.finish ?? ''];
  return cutShort === undefined ? { kind: 'finished' } : { kind: 'agent-failed', reason: cutShort };
}

/** Ends of a model's answer after which the work cannot be called finished; the server reports none of them as an error. */
const unfinished: Readonly<Record<string, string>> = {
  '': 'the agent was stopped before its model had answered',
  'tool-calls': 'the agent stopped in the middle of its work',
  length: "the model's answer was cut at its output limit",
  'content-filter': "the model's answer was withheld by its content filter",
};

/** A fault of the provider is told apart from a fault of the agent: another agent would meet the first as well. */
export function judgeError(error: SessionError): TurnEnd {
  const reason = messageOf(error);
  switch (error.name) {
    case 'ProviderAuthError':
      return { kind: 'model-unavailable', reason };
    case 'APIError': {
      const { statusCode, responseBody } = error.data;
      if (statusCode === 402 && responseBody?.includes('"token_budget_spent"') === true)
        return { kind: 'budget-spent' };
      const refused =
        statusCode !== undefined && statusCode >= 400 && statusCode < 500 && !providerStatus.has(statusCode);
      return {
        kind: refused ? 'agent-failed' : 'model-unavailable',
        reason: statusCode ? `${reason} (HTTP ${statusCode})` : reason,
      };
    }
    case 'UnknownError':
      return providerFault.test(reason) ? { kind: 'model-unavailable', reason } : { kind: 'agent-failed', reason };
    case 'MessageAbortedError':
    case 'MessageOutputLengthError':
    case 'StructuredOutputError':
    case 'ContextOverflowError':
    case 'ContentFilterError':
      return { kind: 'agent-failed', reason };
  }
}

/** How the server puts faults of a provider that it has no name for: a model that is not known, an answer that is not one. */
const providerFault = /model not found|ProviderModelNotFound|ProviderInit|JSON parsing failed/i;

/** Client errors that say something about the provider or the credentials, not about the request. */
const providerStatus = new Set([401, 402, 403, 404, 408, 429]);

function messageOf(error: SessionError): string {
  const { data } = error;
  const message = 'message' in data && typeof data.message === 'string' ? data.message : '';
  return message === '' ? error.name : `${error.name}: ${message}`.slice(0, 2000);
}
