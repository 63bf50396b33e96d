/**
 * Writes the figures of `docs/performance/*.json` into docs/performance.md, and draws its plots:
 * `npm run bench:page [-- <file of a run of the bench>]`. With a file, that becomes the run that the page shows.
 */
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { root } from '../support/source-files.ts';
import { readFigures, withFigures } from './page/figures.ts';
import { drawPlots } from './plots.ts';

const directory = join(root, 'docs', 'performance');
const page = join(root, 'docs', 'performance.md');

const [file] = process.argv.slice(2);
if (file !== undefined) await copyFile(file, join(directory, 'bench.json'));
const figures = readFigures();
if (figures.bench !== null) await drawPlots(figures.bench, directory);
await writeFile(page, withFigures(await readFile(page, 'utf8'), figures));
await execa('oxfmt', [page], { cwd: root, preferLocal: true });
