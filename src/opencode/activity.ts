import type { Event, SessionStatus } from '@opencode-ai/sdk/v2/types';

/** Whether an event shows that the model has answered: a prompt is a part as well, and of text. */
export function isAnswer(event: Event): boolean {
  if (event.type !== 'message.part.updated') return false;
  const { part } = event.properties;
  return (
    part.type === 'step-finish' ||
    part.type === 'reasoning' ||
    (part.type === 'tool' && part.state.status === 'pending')
  );
}

/** What an event says about what the agent does, in a few words. */
export function activityOf(event: Event): string | null {
  if (event.type === 'session.status') {
    return event.properties.status.type === 'busy' ? 'waiting for the model' : null;
  }
  if (event.type !== 'message.part.updated') return null;
  const { part } = event.properties;
  if (part.type === 'tool') return `${part.tool} ${part.state.status}`;
  if (part.type === 'text') return 'writing';
  return part.type === 'reasoning' ? 'thinking' : null;
}

/** That the gateway holds a request back. */
export const coolingOf = ({ model, until }: { model: string; until: number }): string =>
  `waiting for provider ${model} until ${timeOf(until)}: it wants to be left alone`;

/** A provider may say any number; a date has an end. */
const timeOf = (at: number): string => new Date(Math.min(at, 8.64e15)).toISOString();

/** That the server waits to ask again. */
export function waitOf({ next, attempt, message }: SessionStatus & { type: 'retry' }): string {
  return `waiting for the provider until ${timeOf(next)}, attempt ${attempt}: ${message}`.slice(0, 200);
}
