/**
 * A text whose URLs are as they may be shown: without a user and a password. A user of `https` may be a token; one of `ssh` that stands
 * alone is a part of the address.
 */
export function withoutCredentials(text: string): string {
  return text.replaceAll(/(?<=\w:)(?:(?<!\bssh:)\/\/[^/\s]*@|(?<=\bssh:)\/\/[^/\s]*:[^/\s]*@)/gi, '//');
}
