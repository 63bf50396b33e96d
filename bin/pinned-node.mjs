/**
 * Runs a program on the Node.js that the project pins (the npm package `node`), whatever Node.js started this.
 * Plain JavaScript without packages: it runs before, or without, all that it is there to find.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** The path of the pinned Node.js, or null when it is not installed. */
export function pinnedNode() {
  try {
    const path = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

/**
 * Runs a program in this terminal until it ends, then ends this process in the same way.
 *
 * @param {string} node the Node.js to run it on
 * @param {string[]} commandArguments the program's file and its arguments
 * @param {string | null} binDirectory comes first in the program's PATH
 */
export function runOn(node, commandArguments, binDirectory = null) {
  const path = [binDirectory, process.env.PATH].filter((part) => part !== null).join(delimiter);
  const child = spawn(node, commandArguments, { stdio: 'inherit', env: { ...process.env, PATH: path } });
  // A terminal sends its own signals to every process in it; the child has already heard of those.
  const forward = (signal) => void (signal === 'SIGTERM' || !process.stdin.isTTY ? child.kill(signal) : null);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
  child.on('error', (error) => {
    process.stderr.write(`cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
