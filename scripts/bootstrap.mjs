/**
 * Sets up a checkout and then runs something in it: `node scripts/bootstrap.mjs <script.ts | tool> [arguments]`.
 * Runs on any Node.js from version 20 and uses no package: it installs them, and hands over to the Node.js that they pin.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pinnedNode, runOn } from '../bin/pinned-node.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const binDirectory = join(root, 'node_modules', '.bin');
const oldestNode = 20;
/** What the packages take, with room for npm to unpack them. */
const neededBytes = 2 * 1024 ** 3;

const [program, ...rest] = process.argv.slice(2);
if (program === undefined) stop('usage: node scripts/bootstrap.mjs <script.ts | tool> [arguments]');

checkNode();
if (!isInstalled()) install();
runOn(workingNode(), [fileOf(program), ...rest], binDirectory);

function checkNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= oldestNode) return;
  stop(
    `Node.js ${process.versions.node} is too old to set this up.`,
    `Install Node.js ${oldestNode} or newer: nodejs.org.`,
  );
}

/** npm writes down what it installed when it is done, so an install that was cut short has no such file. */
function isInstalled() {
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = packagesOf(join(root, 'package-lock.json'));
  const installed = packagesOf(record);
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    // Of an optional package for another kind of machine nothing is written down.
    const found = installed[path];
    return path === '' || (found === undefined ? optional : found.version === version);
  });
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
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
