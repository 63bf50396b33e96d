import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../../support/source-files.ts';

interface LockedPackage {
  version?: string;
  optionalDependencies?: Record<string, string>;
  hasInstallScript?: boolean;
}

const read = (name: string): unknown => JSON.parse(readFileSync(join(root, name), 'utf8'));
// npm writes these files, and `npm ci` has read them before any test runs.
const { packages } = read('package-lock.json') as { packages: Record<string, LockedPackage> };
const manifest = read('package.json') as {
  allowScripts: Record<string, boolean>;
  dependencies: Record<string, string>;
};

test('the lock file names the packages of every platform, or npm ci refuses it', () => {
  const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies));
  const locked = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 13)));
  expect(wanted.filter((name) => !locked.has(name))).toEqual([]);
});

test('every install script is allowed or denied by name, so that npm neither warns nor skips one silently', () => {
  const scripted = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  const names = scripted.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 13));
  expect(Object.keys(manifest.allowScripts).toSorted()).toEqual([...new Set(names)].toSorted());
});

test('every direct dependency is pinned to a version', () => {
  const loose = Object.entries(manifest.dependencies).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  expect(loose).toEqual([]);
});
