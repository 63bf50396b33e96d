/**
 * Writes the figures of `docs/performance/*.json` into docs/performance.md, and draws its plots:
 * `npm run bench:page [-- <file of a run of the bench>]`. With a file, that becomes the run that the page shows; one that has nothing but parts that
 * stand by themselves takes their places only.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { root } from '../support/source-files.ts';
import { filesOf, readFigures, withFigures } from './page/figures.ts';
import { drawPlots } from './plots.ts';
import type { BenchResults } from './results.ts';

const directory = join(root, 'docs', 'performance');
const page = join(root, 'docs', 'performance.md');

const [file] = process.argv.slice(2);
if (file !== undefined) {
  // As the bench wrote it.
  const run = JSON.parse(await readFile(file, 'utf8')) as BenchResults;
  for (const [name, part] of filesOf(run)) await writeFile(join(directory, name), `${JSON.stringify(part, null, 2)}\n`);
}
const figures = readFigures();
if (figures.bench !== null) await drawPlots(figures.bench, directory);
await writeFile(page, withFigures(await readFile(page, 'utf8'), figures));
await execa('oxfmt', [page], { cwd: root, preferLocal: true });
