import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { IsolationName } from '../../../src/client.ts';
import { type Attempt, type Verdict, runtimes } from './attempt.ts';

const file = fileURLToPath(new URL('../../../docs/security.md', import.meta.url));
const [begin, end] = ['<!-- made by the hostile suite: begin -->', '<!-- end -->'];

/** What was found, by attempt. */
export type Found = ReadonlyMap<string, Partial<Record<IsolationName, Verdict>>>;

/** The page with the table of what was found; `AGENT_CELLS_SECURITY_PAGE=write` writes it, else nothing is written. */
export async function pageWith(attempts: readonly Attempt[], found: Found): Promise<{ is: string; shouldBe: string }> {
  const is = await readFile(file, 'utf8');
  const [before = '', rest = ''] = is.split(begin);
  const after = rest.split(end)[1] ?? '';
  const shouldBe = `${before}${begin}\n\n${tableOf(attempts, found)}\n\n${end}${after}`;
  if (process.env['AGENT_CELLS_SECURITY_PAGE'] !== 'write') return { is, shouldBe };
  await writeFile(file, shouldBe);
  return { is: shouldBe, shouldBe };
}

function tableOf(attempts: readonly Attempt[], found: Found): string {
  const head = [
    'what is tried',
    'through',
    ...runtimes.map((name) => `\`${name}\``),
    'why, in `process`',
    'why, in the others',
  ];
  const rows = attempts.map(({ name, tries, through, process, confined }) => [
    tries,
    through,
    ...runtimes.map((runtime) => found.get(name)?.[runtime] ?? 'unknown'),
    process[1],
    confined,
  ]);
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
