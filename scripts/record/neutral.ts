import type { Fleet } from '../../test/support/fleet.ts';

/** Rewrites a history as JSON, so that nothing in it tells of the machine that it was recorded on. Replaying does not look at any of it. */
export function neutral(history: unknown, fleet: Fleet): unknown {
  return rewrite(history, (text) => withoutMachine(text, fleet));
}

type Rewrite = (text: string) => string;

function rewrite(value: unknown, words: Rewrite): unknown {
  if (typeof value === 'string') return words(value);
  if (Array.isArray(value)) return value.map((item) => rewrite(item, words));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, rewriteField(name, inner, words)]));
}

function rewriteField(name: string, value: unknown, words: Rewrite): unknown {
  switch (name) {
    case 'identity':
      return 'recorded';
    // Of our own source files, by their paths.
    case 'stackTrace':
      return '';
    // Of a payload, in base64.
    case 'data':
      return typeof value === 'string' ? toBase64(words(fromBase64(value))) : rewrite(value, words);
    default:
      return rewrite(value, words);
  }
}

function withoutMachine(text: string, { stateDirectory, repository, hostId }: Fleet): string {
  return text
    .replaceAll(stateDirectory, '/tmp/agent-cells/state')
    .replaceAll(repository.path, '/tmp/agent-cells/repository')
    .replaceAll(hostId, 'host');
}

const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString('utf8');
const toBase64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
