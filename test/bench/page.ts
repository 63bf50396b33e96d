/**
 * Writes the figures of `docs/performance/*.json` into docs/performance.md, and draws its plots:
 * `npm run bench:page [-- <file of a run of the bench>]`. With a file, that becomes the run that the page shows, of the part that it has where it
 * has one alone that stands by itself.
 */
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { root } from '../support/source-files.ts';
import { fileOf, readFigures, withFigures } from './page/figures.ts';
import { drawPlots } from './plots.ts';
import type { BenchResults } from './results.ts';

const directory = join(root, 'docs', 'performance');
const page = join(root, 'docs', 'performance.md');

const [file] = process.argv.slice(2);
if (file !== undefined) {
  // As the bench wrote it.
  const run = JSON.parse(await readFile(file, 'utf8')) as BenchResults;
  await copyFile(file, join(directory, fileOf(run)));
}
const figures = readFigures();
if (figures.bench !== null) await drawPlots(figures.bench, directory);
await writeFile(page, withFigures(await readFile(page, 'utf8'), figures));
await execa('oxfmt', [page], { cwd: root, preferLocal: true });
