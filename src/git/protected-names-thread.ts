import { parentPort, workerData } from 'node:worker_threads';
import picomatch from 'picomatch';
import { readable } from './names.ts';
import type { NamesWanted } from './protected-names.ts';

/** Answers those of the names that a glob stands for. */
const { globs, names } = workerData as NamesWanted; // `protected-names.ts` starts this thread, and nobody else
const isProtected = matcherOf(globs);
parentPort?.postMessage(names.filter((name) => isProtected(readable(name))));

/** A glob that names a directory protects all that is in it. */
function matcherOf(wanted: readonly string[]): (name: string) => boolean {
  const patterns = wanted.map((glob) => glob.replace(/^(\.\/)+/, '').replace(/\/+$/, ''));
  // The flag lets a name with a line break match too; a leading "!" is a character like any other.
  return picomatch([...patterns, ...patterns.map((pattern) => `${pattern}/**`)], {
    dot: true,
    nonegate: true,
    flags: 's',
  });
}
