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
