import { describe, expect, test } from 'vitest';
import { withoutCredentials } from '../../../src/domain/without-credentials.ts';

describe('a URL as it may be shown', () => {
  test.for([
    ['https://bot:s3cret@host.test/team/x.git', 'https://host.test/team/x.git'],
    ['https://token@host.test:8443/x', 'https://host.test:8443/x'],
    ['https://bot:with@in@host.test/x', 'https://host.test/x'],
    ['ssh://git:s3cret@host.test/x', 'ssh://host.test/x'],
    ['HTTPS://bot:s3cret@host.test', 'HTTPS://host.test'],
  ] as const)('has no credentials: %s', ([url, shown]) => {
    expect(withoutCredentials(url)).toBe(shown);
  });

  test.for([
    'https://host.test/team/@scope/x',
    'ssh://git@host.test:22/team/x',
    'git@host.test:team/x.git',
    'file:///srv/git/x@2',
    '/srv/git//team@home/x',
  ])('is the same where it has none: %s', (url) => {
    expect(withoutCredentials(url)).toBe(url);
  });

  test('has none within a text either, which stays as it is', () => {
    const text = 'https://a:b@host.test/x could not be fetched: remote of https://c@host.test/y, ask me@host.test';
    expect(withoutCredentials(text)).toBe(
      'https://host.test/x could not be fetched: remote of https://host.test/y, ask me@host.test',
    );
  });
});
