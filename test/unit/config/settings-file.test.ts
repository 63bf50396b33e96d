import { chown, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeConfig, readConfig, settingNamed, settingText } from '../../../src/config.ts';
import { changeSettingsFile, readSettingsFile, settingsFileOf } from '../../../src/config/settings-file.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

describe('the file of settings', () => {
  test('lies in the configuration home of XDG, else in that of the user, and nowhere without a home', () => {
    expect(settingsFileOf({ XDG_CONFIG_HOME: '/x', HOME: '/h' })).toBe('/x/agent-cells/settings.env');
    expect(settingsFileOf({ HOME: '/h' })).toBe('/h/.config/agent-cells/settings.env');
    expect(settingsFileOf({})).toBeNull();
  });

  test('stands below the environment and .env, and the source of each setting is told', async () => {
    await using directory = await temporaryDirectory();
    const env = { XDG_CONFIG_HOME: directory.path, CELLS_CAPACITY: '3' };
    const dotenv = join(directory.path, '.env');
    await writeFile(dotenv, 'CELLS_WARM=4\n');
    const file = settingsFileOf(env) ?? '';
    for (const [name, value] of [
      ['CELLS_CAPACITY', '9'],
      ['CELLS_WARM', '9'],
      ['CELLS_RUNTIME', 'process'],
    ] as const)
      await changeSettingsFile(file, name, value);
    expect(readConfig(env, { dotenv })).toMatchObject({ capacity: 3, warmServers: 4, runtime: 'process' });
    const sources = Object.fromEntries(describeConfig(env, { dotenv }).map(({ name, source }) => [name, source]));
    expect(sources).toMatchObject({
      CELLS_CAPACITY: 'environment',
      CELLS_WARM: '.env',
      CELLS_RUNTIME: 'config file',
      CELLS_PORTS: 'default',
    });
    await changeSettingsFile(file, 'CELLS_RUNTIME', null);
    expect(readConfig(env, { dotenv }).runtime).toBeNull();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('may be a link to a file elsewhere, which is the one that changes', async () => {
    await using directory = await temporaryDirectory();
    const [file, elsewhere] = [join(directory.path, 'settings.env'), join(directory.path, 'elsewhere')];
    await writeFile(elsewhere, '');
    await symlink(elsewhere, file);
    await changeSettingsFile(file, 'CELLS_WARM', '1');
    expect(await readlink(file)).toBe(elsewhere);
    expect(readSettingsFile(elsewhere)).toEqual({ CELLS_WARM: '1' });
  });

  // Only root may give a file away.
  test.skipIf(process.getuid?.() !== 0)('stays the file of its user when root changes it', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'settings.env');
    await writeFile(file, '');
    await chown(file, 65_534, 65_534);
    await changeSettingsFile(file, 'CELLS_WARM', '1');
    expect(await stat(file)).toMatchObject({ uid: 65_534, gid: 65_534 });
  });

  test('that cannot be written is named, with what to do', async () => {
    const refused = changeSettingsFile('/dev/null/agent-cells/settings.env', 'CELLS_WARM', '1');
    await expect(refused).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringMatching(/^cannot write \/dev\/null\/agent-cells\/settings\.env: .*ENOTDIR/) as string,
    });
  });

  test('gives nothing but settings of ours: a key, or the address of a server, that stands there is not used', async () => {
    await using directory = await temporaryDirectory();
    const env = { XDG_CONFIG_HOME: directory.path };
    await changeSettingsFile(settingsFileOf(env) ?? '', 'ANTHROPIC_API_KEY', 'k');
    await changeSettingsFile(settingsFileOf(env) ?? '', 'TEMPORAL_ADDRESS', 'elsewhere:1');
    expect(readConfig(env, { dotenv: null })).toMatchObject({ providerEnvironment: {}, temporal: { ...env } });
  });

  test.for(['plain', 'two words', 'a # b', `it's`, 'say "so"', '$HOME', '  spaces  ', 'back\\slash'])(
    'gives %j back as it was set',
    async (value) => {
      await using directory = await temporaryDirectory();
      const file = join(directory.path, 'settings.env');
      await changeSettingsFile(file, 'CELLS_HOST_ID', value);
      await changeSettingsFile(file, 'CELLS_WARM', '1');
      expect(readSettingsFile(file)).toEqual({ CELLS_HOST_ID: value, CELLS_WARM: '1' });
    },
  );

  test('takes no line break, and says so', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'settings.env');
    await expect(changeSettingsFile(file, 'CELLS_REPOSITORIES', '/a\nCELLS_RUNTIME=process')).rejects.toThrow(
      'cannot be kept',
    );
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });
});

test('a setting is named in full or in short, and one that does not exist is refused', () => {
  expect(settingNamed('state-dir')).toBe('CELLS_STATE_DIR');
  expect(settingNamed('CELLS_RUNTIME')).toBe('CELLS_RUNTIME');
  expect(() => settingNamed('runtim')).toThrow('there is no setting runtim');
  expect(() => settingNamed('toString')).toThrow('there is no setting');
});

test('what is kept of a setting was checked, and its paths are absolute', () => {
  expect(settingText('CELLS_REPOSITORIES', 'a, https://git.example/team/')).toBe(
    `${process.cwd()}/a,https://git.example/team/`,
  );
  expect(settingText('CELLS_SERVER_MEMORY', '2g')).toBe('2g');
  expect(settingText('CELLS_VOLUMES', '/opt/tools, /srv/x:/x')).toBe('/opt/tools, /srv/x:/x');
  expect(() => settingText('CELLS_CAPACITY', '0')).toThrow('a whole number from 1');
});

test.for([
  ['CELLS_REPOSITORY', ''],
  ['CELLS_STATE_DIR', ' '],
  ['CELLS_REPOSITORIES', ','],
  ['CELLS_VOLUMES', ''],
] as const)('%s is not set to %j, which stands for nothing', ([name, value]) => {
  expect(() => settingText(name, value)).toThrow(`${name} cannot be set to nothing`);
});
