import { millisecondsOf } from '../domain/duration.ts';
import { UserError } from '../domain/user-error.ts';

/** The time that lies a duration back, milliseconds since the epoch. @throws UserError `InvalidInput` */
export function timeSince(text: string, now = Date.now()): number {
  const milliseconds = millisecondsOf(text);
  if (milliseconds !== null) return now - milliseconds;
  throw new UserError('InvalidInput', `--since ${text} is not a duration`, { try: 'write it as 90s, 1h or 7d' });
}
