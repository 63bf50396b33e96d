import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeConfig, readConfig, unknownSettings } from '../../src/config.ts';
import { UserError } from '../../src/domain/user-error.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const none = { dotenv: null };

describe('settings', () => {
  test('have the documented defaults', () => {
    const config = readConfig({ XDG_STATE_HOME: '/state' }, none);
    expect(config).toMatchObject({
      stateDirectory: '/state/agent-cells',
      repository: null,
      repositories: [],
      capacity: 50,
      ports: { from: 9000, to: 9999 },
      runtime: null,
      opencodeConfig: null,
      modelGateway: true,
      metricsAddress: { host: '127.0.0.1', port: 9464 },
      logLevel: 'info',
      logFormat: null,
      cellDisk: 10 * 1024 ** 3,
      artifactRetentionMs: 7 * 24 * 60 * 60 * 1000,
      providerEnvironment: {},
    });
    expect(config.templates).toMatch(/\/config\/agents\.yaml$/);
  });

  test('name the host after the machine, in characters that a task queue may hold', () => {
    expect(readConfig({}, none).hostId).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
  });

  test('allow the one repository when no list is given', () => {
    expect(readConfig({ CELLS_REPOSITORY: '/srv/app' }, none).repositories).toEqual(['/srv/app']);
  });

  test('take repositories separated by commas or newlines, paths made absolute and URLs left as they are', () => {
    const { repositories } = readConfig(
      { CELLS_REPOSITORIES: '/a, https://git.example/team/\n git@git.example:x\nb' },
      none,
    );
    expect(repositories).toEqual(['/a', 'https://git.example/team/', 'git@git.example:x', join(process.cwd(), 'b')]);
  });

  test('take an address with a bracketed IPv6 host', () => {
    expect(readConfig({ CELLS_METRICS_ADDRESS: '[::1]:0' }, none).metricsAddress).toEqual({ host: '::1', port: 0 });
  });

  test('take what the files of a cell may take, as a size', () => {
    expect(readConfig({ CELLS_CELL_DISK: '40m' }, none).cellDisk).toBe(40 * 1024 ** 2);
    const shown = { name: 'CELLS_CELL_DISK', value: '10g', source: 'default' };
    expect(describeConfig({}, none)).toContainEqual(shown);
  });

  test('take a size without a unit as bytes', () => {
    const config = readConfig({ CELLS_SERVER_MEMORY: '1073741824', CELLS_CELL_DISK: '40' }, none);
    expect(config).toMatchObject({ serverMemory: 1024 ** 3, cellDisk: 40 });
  });

  test('take what confined cells get to read, as paths, each with another one where it is found elsewhere', () => {
    const { volumes } = readConfig({ CELLS_VOLUMES: '/srv/store, /opt/tools:/tools\n/data' }, none);
    expect(volumes).toEqual([
      { source: '/srv/store', target: '/srv/store' },
      { source: '/opt/tools', target: '/tools' },
      { source: '/data', target: '/data' },
    ]);
    expect(readConfig({}, none).volumes).toEqual([]);
  });

  test.each(['store', '/a:b', '/a:/b:/c', '/a/../etc', '/', '/a,,b'])('refuse the volume %s', (value) => {
    expect(() => readConfig({ CELLS_VOLUMES: value }, none)).toThrow(UserError);
  });

  test('treat an empty variable as one that is not set', () => {
    expect(readConfig({ CELLS_CAPACITY: '', CELLS_RUNTIME: ' ' }, none)).toMatchObject({ capacity: 50, runtime: null });
  });

  test("keep the providers' keys and Temporal's variables apart from everything else", () => {
    const config = readConfig(
      { ANTHROPIC_API_KEY: 'k', TEMPORAL_API_KEY: 't', TEMPORAL_ADDRESS: 'a:1', OTHER: 'x' },
      none,
    );
    expect(config.providerEnvironment).toEqual({ ANTHROPIC_API_KEY: 'k' });
    expect(config.temporal).toEqual({ TEMPORAL_API_KEY: 't', TEMPORAL_ADDRESS: 'a:1' });
  });

  test.for([
    ['CELLS_HOST_ID', 'a b', 'characters A-Z'],
    ['CELLS_CAPACITY', '0', 'a whole number from 1'],
    ['CELLS_CAPACITY', '1.5', 'a whole number from 1'],
    ['CELLS_PORTS', '9999-9000', 'a range of ports'],
    ['CELLS_PORTS', '80-90', 'a range of ports'],
    ['CELLS_RUNTIME', 'jail', 'one of process, bubblewrap, docker'],
    ['CELLS_MODEL_GATEWAY', 'yes', 'on or off'],
    ['CELLS_METRICS_ADDRESS', '9464', 'host:port'],
    ['CELLS_METRICS_ADDRESS', 'h:99999', 'host:port'],
    ['CELLS_LOG_LEVEL', 'loud', 'one of trace'],
    ['CELLS_LOG_FORMAT', 'xml', 'pretty or json'],
    ['CELLS_CELL_DISK', '10 GB', 'a size such as 512m or 2g'],
    ['CELLS_ARTIFACT_RETENTION', '30 parsecs', 'a duration'],
  ] as const)('refuse %s=%s and say what is allowed', ([name, value, allowed]) => {
    const read = () => readConfig({ [name]: value }, none);
    expect(read).toThrow(UserError);
    expect(read).toThrow(`${name}=${value} is not allowed`);
    expect(read).toThrow(allowed);
  });
});

describe('a .env file', () => {
  test('gives settings that the environment overrides, and doctor tells which is which', async () => {
    await using directory = await temporaryDirectory();
    const dotenv = join(directory.path, '.env');
    await writeFile(dotenv, 'CELLS_CAPACITY=7\nCELLS_HOST_ID=from-file\nOPENAI_API_KEY="sk-secret"\n');
    const env = { CELLS_HOST_ID: 'from-environment' };
    expect(readConfig(env, { dotenv })).toMatchObject({ capacity: 7, hostId: 'from-environment' });
    const described = describeConfig(env, { dotenv });
    expect(described).toContainEqual({ name: 'CELLS_CAPACITY', value: '7', source: '.env' });
    expect(described).toContainEqual({ name: 'CELLS_HOST_ID', value: 'from-environment', source: 'environment' });
    expect(described).toContainEqual({ name: 'CELLS_PORTS', value: '9000-9999', source: 'default' });
    expect(JSON.stringify(described)).not.toContain('sk-secret');
  });

  test('need not be there', () => {
    expect(readConfig({}, { dotenv: '/nonexistent/.env' }).capacity).toBe(50);
  });
});

test('a variable that looks like a setting and is none is found', () => {
  expect(unknownSettings({ CELLS_CAPACTIY: '5', CELLS_PORTS: '9000-9001' }, none)).toEqual(['CELLS_CAPACTIY']);
});
