import { randomBytes } from 'node:crypto';

/**
 * A new message id in OpenCode's form: `msg_`, then twelve hexadecimal digits of time, then fourteen random characters.
 * OpenCode compares ids to tell which message came first, so an id is made when the message is about to be sent,
 * and kept: sent again under the same id it is recognised.
 */
export function newMessageId(now: number = Date.now()): string {
  const time = (BigInt(now) * 0x1000n) & 0xffffffffffffn;
  return `msg_${time.toString(16).padStart(12, '0')}${randomBytes(7).toString('hex')}`;
}

/** The id of the only part of a message; without it a message that is sent again would hold its text twice. */
export function partIdOf(messageId: string): string {
  return messageId.replace(/^msg_/, 'prt_');
}
