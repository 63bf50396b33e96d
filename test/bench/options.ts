import { parseArgs } from 'node:util';
import { UserError } from '../../src/domain/user-error.ts';

const partNames = ['held', 'at-once', 'sequence', 'floor', 'spawn', 'gateway', 'runtimes'] as const;
export type PartName = (typeof partNames)[number];

export interface BenchOptions {
  quick: boolean;
  only: readonly PartName[];
  /** Cells that are alive at once. */
  cells: number;
  /** Cells one after the other, a few at a time. */
  sequence: number;
  /** How often a figure of one thing is taken. */
  repeats: number;
  /** Where the figures go; the plots lie beside them. */
  json: string;
  help: boolean;
}

export const benchUsage = `npm run bench -- [options]

  --quick        ten cells, twenty in sequence, three of each single thing: minutes rather than an hour
  --only a,b     some parts: ${partNames.join(', ')}
  --cells N      cells alive at once (50; quick: 10)
  --sequence N   cells one after the other (500; quick: 20)
  --json FILE    where the figures go, with plots beside them (bench-results/bench.json)
`;

/** @throws UserError `InvalidInput`, naming what is wrong. */
export function benchOptions(args: string[]): BenchOptions {
  const values = parsed(args);
  const quick = values.quick === true;
  const only = values.only?.split(',') ?? partNames;
  const unknown = only.filter((name) => !isPart(name));
  if (unknown.length > 0) throw invalid(`there is no part ${unknown.join(', ')}`);
  return {
    quick,
    only: only.filter(isPart),
    cells: positive('cells', values.cells, quick ? 10 : 50),
    sequence: positive('sequence', values.sequence, quick ? 20 : 500),
    repeats: quick ? 3 : 10,
    json: values.json ?? 'bench-results/bench.json',
    help: values.help === true,
  };
}

function parsed(args: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    const options = { quick: flag, only: text, cells: text, sequence: text, json: text, help: flag };
    return parseArgs({ args, options }).values;
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function positive(name: string, text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw invalid(`--${name} takes a whole number from 1`);
  return number;
}

const isPart = (name: string): name is PartName => partNames.some((part) => part === name);

const invalid = (message: string, cause?: unknown): UserError =>
  new UserError('InvalidInput', message, { try: benchUsage.trimEnd(), cause });
