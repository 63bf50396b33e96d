import { expect, test } from 'vitest';
import { settingsChecks } from '../../../../src/cli/doctor/settings-checks.ts';
import { readConfig } from '../../../../src/config.ts';

test.each([
  ['on', { verdict: 'ok', detail: expect.stringContaining('can read the keys where the worker has them from') }],
  ['off', { verdict: 'warning', try: 'unset CELLS_MODEL_GATEWAY' }],
])('with the gateway %s the doctor says what that is worth', async (setting, finding) => {
  const checks = await settingsChecks(readConfig({ CELLS_MODEL_GATEWAY: setting }, { dotenv: null }));
  expect(checks.find(({ name }) => name === 'model gateway')).toMatchObject(finding);
});

test('the doctor names repositories without the credentials in their URLs', async () => {
  const places = 'https://me:hidden@example.org/one,https://example.org/two,/';
  const checks = await settingsChecks(readConfig({ CELLS_REPOSITORIES: places }, { dotenv: null }));
  expect(checks.find(({ name }) => name === 'repositories')).toEqual({
    name: 'repositories',
    verdict: 'ok',
    detail: 'https://example.org/one, https://example.org/two, /',
  });
});
