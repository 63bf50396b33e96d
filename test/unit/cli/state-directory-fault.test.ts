import { open } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { stateDirectoryFault } from '../../../src/cli/state-directory-fault.ts';

const stateDirectory = '/home/w/state/cells';

/** As the system makes one. */
const refusal = (code: string, more: { path?: string; address?: string; syscall?: string }) =>
  Object.assign(new Error(`${code}: not so`), { code, ...more });

describe('a refusal of the system', () => {
  test.for([
    ['may not be entered', refusal('EACCES', { path: stateDirectory, syscall: 'scandir' })],
    ['has a file that may not be read', refusal('EACCES', { path: `${stateDirectory}/id`, syscall: 'open' })],
    ['has files of another user', refusal('EPERM', { path: `${stateDirectory}/cells/c`, syscall: 'rename' })],
    ['is on a read-only disk', refusal('EROFS', { path: `${stateDirectory}/id.1`, syscall: 'open' })],
    ['cannot be made, for what is above it', refusal('EACCES', { path: '/home/w/state', syscall: 'mkdir' })],
    ['has a socket of another user', refusal('EACCES', { address: `${stateDirectory}/s`, syscall: 'connect' })],
  ] as const)('tells who may use a state directory that %s', ([, error]) => {
    expect(stateDirectoryFault(error, stateDirectory)).toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringContaining(`${stateDirectory} cannot be used by this user: ${error.message}`),
      try: expect.stringMatching(/the user of the worker.*CELLS_STATE_DIR/),
      cause: error,
    });
  });

  test.for([
    ['elsewhere', refusal('EACCES', { path: '/home/w/state/cells-of-another', syscall: 'open' })],
    ['above it, where nothing was to be made', refusal('EACCES', { path: '/home/w', syscall: 'open' })],
    ['of no path', refusal('EACCES', { syscall: 'listen' })],
  ] as const)('is none of the state directory when it is %s', ([, error]) => {
    expect(stateDirectoryFault(error, stateDirectory)).toBeNull();
  });
});

test('a file that is gone from the state directory is an error of ours', async () => {
  const error = await open('/nonexistent/cells/id').catch((reason: unknown) => reason);
  expect(stateDirectoryFault(error, '/nonexistent/cells')).toBeNull();
});
