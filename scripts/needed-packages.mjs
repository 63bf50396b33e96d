/**
 * Which packages of a lock file this machine needs, and which of them are not there. npm skips an optional package whose
 * download fails, without a word and with exit code 0; but the compilers and OpenCode have their binaries in such packages.
 * Plain JavaScript without packages: it runs before any is installed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The C library that Node.js runs with here, which is told of packages for Linux only. */
const ownLibc = process.platform === 'linux' ? libcOfLinux() : null;

/**
 * The paths (`node_modules/<name>`) of the packages that `package-lock.json` wants on this machine and that npm did not install.
 *
 * @param {string} root the directory of the lock file
 * @returns {string[] | null} null where npm never came to the end of an install: then it has written no record of what is there
 */
export function missingPackages(root) {
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return null;
  const installed = packagesOf(record);
  const isThere = (path, { version }) =>
    installed[path] === undefined ? false : installed[path].version === version && existsSync(join(root, path));
  return Object.entries(packagesOf(join(root, 'package-lock.json')))
    .filter(([path, wanted]) => path !== '' && isNeeded(wanted, installed[path]) && !isThere(path, wanted))
    .map(([path]) => path);
}

/**
 * Those of the installed packages for this kind of machine that are a native module.
 *
 * @param {string} root the directory of the lock file
 * @returns {string[]} their directories
 */
export function nativeModules(root) {
  const main = (path) => JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')).main;
  return Object.entries(packagesOf(join(root, 'node_modules', '.package-lock.json')))
    .filter(([path, found]) => isForOneKind(found) && main(path)?.endsWith('.node'))
    .map(([path]) => join(root, path));
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
}

/** An optional package that is for every machine comes with one that is for another kind of machine; it counts where it was installed. */
function isNeeded(wanted, found) {
  if (!wanted.optional) return true;
  return isForOneKind(wanted) ? fitsMachine(wanted) && fitsNode(wanted.engines?.node) : found !== undefined;
}

function isForOneKind({ os, cpu, libc }) {
  return os !== undefined || cpu !== undefined || libc !== undefined;
}

/** By the rules of npm. */
function fitsMachine({ os, cpu, libc }) {
  return fits(process.platform, os) && fits(process.arch, cpu) && (libc === undefined || fits(ownLibc, libc));
}

function fits(value, list = []) {
  if (list.includes(`!${value}`)) return false;
  return list.every((entry) => entry.startsWith('!')) || list.includes(value);
}

function libcOfLinux() {
  process.report.excludeNetwork = true;
  const { header, sharedObjects } = process.report.getReport();
  if (header.glibcVersionRuntime) return 'glibc';
  return sharedObjects.some((file) => /libc\.musl-|ld-musl-/.test(file)) ? 'musl' : null;
}

/** npm leaves an optional package out, too, that wants another Node.js than the one that npm runs on. Reads `^1.2.3 || >=2.3.4`. */
function fitsNode(range = '') {
  return range.split('||').some((part) => {
    const [, kind, ...bounds] = /^\s*(\^|>=)\s*(\d+)\.(\d+)\.(\d+)\s*$/.exec(part) ?? [];
    if (kind === undefined) return true;
    const [major, minor, patch] = bounds.map(Number);
    const [ownMajor, ownMinor, ownPatch] = process.versions.node.split('.').map(Number);
    if (ownMajor !== major) return kind === '>=' && ownMajor > major;
    return ownMinor > minor || (ownMinor === minor && ownPatch >= patch);
  });
}
