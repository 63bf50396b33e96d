/**
 * Draws `docs/images/demo.svg` from what a run of the demo prints: `node scripts/bootstrap.mjs scripts/draw-demo.ts`.
 * With a file of such output as argument, that is drawn and nothing is run.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { drawTerminal } from './draw-demo/terminal.ts';

const root = join(import.meta.dirname, '..');
const picture = join(root, 'docs', 'images', 'demo.svg');
/** Lines of progress that are shown: the last ones, in which most cells end. */
const progressLines = 12;

const [file] = process.argv.slice(2);
const output = file === undefined ? await runDemo() : await readFile(file, 'utf8');
await mkdir(dirname(picture), { recursive: true });
await writeFile(picture, drawTerminal(['$ npm run demo', ...excerpt(output.split('\n'))]));

/** Its progress as lines, and without colours: it does not write to a terminal here. */
async function runDemo(): Promise<string> {
  const demo = execa(process.execPath, [join(root, 'scripts', 'demo.ts')], { cwd: root, stdin: 'ignore', all: true });
  demo.all.pipe(process.stderr);
  return (await demo).all;
}

/** The beginning, the end of the progress, and the table with what follows it; of the addresses, one. */
function excerpt(lines: readonly string[]): string[] {
  const worker = lines.findIndex((line) => line.startsWith('Worker: '));
  const head = lines.findIndex((line) => /^cell +status +commit/.test(line));
  if (worker < 0 || head < worker) throw new Error('this is not what the demo prints');
  const start = lines.slice(0, worker + 1).filter((line) => /^(Temporal: \S+, Web UI|Worker:) /.test(line));
  const progress = lines.slice(worker + 1, head).filter((line) => /^ *[\d.]+(ms|s|m) /.test(line));
  const pages = lines.indexOf('Web UI', head);
  const end = lines.slice(head).filter((_, index) => {
    const line = lines[head + index] ?? '';
    return pages < 0 || head + index <= pages + 1 || !line.includes('/namespaces/');
  });
  return [...start, '…', ...progress.slice(-progressLines), '', ...end].join('\n').trimEnd().split('\n');
}
