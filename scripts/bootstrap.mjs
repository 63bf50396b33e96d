/**
 * Sets up a checkout and then runs something in it: `node scripts/bootstrap.mjs <script.ts | tool> [arguments]`.
 * Runs on any Node.js from version 20 and uses no package: it installs them, and hands over to the Node.js that they pin.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pinnedNode, runOn } from '../bin/pinned-node.mjs';
import { missingPackages, nativeModules } from './needed-packages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const binDirectory = join(root, 'node_modules', '.bin');
const oldestNode = 20;
/** What the packages take, with room for npm to unpack them. */
const neededBytes = 2 * 1024 ** 3;
const installAttempts = 3;

const [program, ...rest] = process.argv.slice(2);
if (program === undefined) stop('usage: node scripts/bootstrap.mjs <script.ts | tool> [arguments]');

checkNode();
if (missingPackages(root)?.length !== 0) install();
// A worker, a supervisor or a command is up in half the time when Node.js finds compiled what it loads.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'node-compile');
runOn(workingNode(), [fileOf(program), ...rest], binDirectory);

function checkNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= oldestNode) return;
  stop(
    `Node.js ${process.versions.node} is too old to set this up.`,
    `Install Node.js ${oldestNode} or newer: nodejs.org.`,
  );
}

function install() {
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < neededBytes) {
    stop(
      'Less than 2 GB are free here, which is not enough for the packages.',
      `Free some space on the disk of ${root}.`,
    );
  }
  process.stderr.write('Installing packages (about 1 GB on disk; a minute or two, once) …\n');
  let flaw = null;
  for (let attempt = 1; attempt <= installAttempts; attempt += 1) {
    cleanInstall();
    flaw = flawOfInstall();
    if (flaw === null) return;
    process.stderr.write(`${flaw} (${attempt} of ${installAttempts} attempts)\n`);
  }
  stop(
    flaw,
    'npm says nothing when it skips an optional package, and these are such: they hold what is built for this kind of machine.',
    'A download that failed: check the network and `npm config get registry`. Left out by a setting: `npm config get omit` must not say optional.',
    'Then run the same command again.',
  );
}

function cleanInstall() {
  // `npm run` says which npm it is: it may not be the one on the PATH.
  const npm = process.env.npm_execpath;
  const [command, ...first] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  // npm warns about packages that want a newer Node.js than its own; they run on the pinned one.
  const options = { cwd: root, stdio: 'inherit' };
  const { error, status } = spawnSync(
    command,
    [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=error'],
    options,
  );
  if (error?.code === 'ENOENT') stop('npm is not on the PATH.', 'Install it: it comes with Node.js from nodejs.org.');
  if (error !== undefined) stop(`npm could not be started: ${error.message}`);
  if (status === 0) return;
  stop(
    `npm ci failed (exit code ${status}); what it says is above.`,
    'ENOTFOUND, ETIMEDOUT or ECONNREFUSED: the package registry is not reached; check the network and `npm config get registry`.',
    "ENOSPC: the disk is full. EACCES: the directory, or npm's cache, belongs to somebody else.",
    'Then run the same command again.',
  );
}

/** What is wrong with what npm installed and reported as well done, or null. */
function flawOfInstall() {
  const missing = missingPackages(root);
  if (missing === null) return 'npm ci left no record of what it installed.';
  if (missing.length > 0) return `npm ci did not install ${missing.join(', ')}.`;
  const load = 'for (const path of process.argv.slice(1)) require(path);';
  const { status, stderr } = spawnSync(workingNode(), ['-e', load, ...nativeModules(root)], { encoding: 'utf8' });
  return status === 0 ? null : `A package that was installed does not load here: ${stderr.trim()}`;
}

function workingNode() {
  const node = pinnedNode();
  const works = node !== null && spawnSync(node, ['--version']).status === 0;
  if (works) return node;
  return stop(
    `The pinned Node.js (the npm package \`node\`) ${node === null ? 'has no binary' : 'does not run on this machine'}.`,
    'If npm is told not to run install scripts (`npm config get ignore-scripts`), run them for the two packages that need it:',
    '  npm rebuild node opencode-ai --ignore-scripts=false',
  );
}

/** A script of ours as it is; a tool by the file behind its name in node_modules/.bin. */
function fileOf(name) {
  if (/\.(ts|mjs)$/.test(name)) return join(root, name);
  const tool = join(binDirectory, name);
  return existsSync(tool) ? realpathSync(tool) : stop(`There is no script and no installed tool called ${name}.`);
}

function stop(...lines) {
  process.stderr.write(`\n${lines.join('\n')}\n`);
  process.exit(1);
}
