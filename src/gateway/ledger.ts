import { appendFile, readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { type TokenUsage, addTokens, noTokens } from '../domain/outcome.ts';

/** What one cell has used of its models, over all gateways that it had. */
export interface LedgerTotals {
  /** Requests that reached a provider. */
  requests: number;
  tokens: TokenUsage;
  /** How many of the tokens in all are estimated, since the provider did not report them. */
  estimated: number;
  /** US dollars; null while no request had a price. */
  cost: number | null;
}

/** How one request ended. */
export interface Settlement {
  model: string;
  tokens: TokenUsage;
  /** Whether the provider reported less than all of it. */
  estimated: boolean;
  cost: number | null;
}

/** The account of one cell on disk: a line before each request and one after it, so that none is forgotten when the gateway dies. */
export interface CellLedger {
  totals(): LedgerTotals;
  /** Writes down that a request is about to be sent, with its estimated input. The function that comes back settles it, once. */
  enter(model: string, input: number): Promise<(settlement: Settlement) => Promise<void>>;
}

const tokens = v.strictObject({
  input: v.number(),
  output: v.number(),
  reasoning: v.number(),
  cacheRead: v.number(),
  cacheWrite: v.number(),
  total: v.number(),
});

const line = v.pipe(
  v.string(),
  v.parseJson(),
  v.variant('kind', [
    v.object({ kind: v.literal('sent'), id: v.string(), model: v.string(), input: v.number() }),
    v.object({
      kind: v.literal('settled'),
      id: v.string(),
      model: v.string(),
      tokens,
      estimated: v.boolean(),
      cost: v.nullable(v.number()),
    }),
  ]),
);

type Line = v.InferOutput<typeof line>;

/**
 * Opens the account of a cell. A request that was sent and never settled counts with its estimated input: the gateway that
 * sent it died meanwhile.
 */
export async function openLedger(file: string): Promise<CellLedger> {
  const text = await readIfThere(file);
  let totals = sumOf(linesOf(text));
  // The last line may be cut off: the gateway died while it wrote it, or the disk was full.
  let cutOff = text !== '' && !text.endsWith('\n');
  const instance = `${process.pid}-${Date.now().toString(36)}`;
  let requests = 0;
  const append = async (entry: Line): Promise<void> => {
    const beginning = cutOff ? '\n' : '';
    cutOff = false;
    try {
      await appendFile(file, `${beginning}${JSON.stringify(entry)}\n`, { mode: 0o600 });
    } catch (error) {
      cutOff = true;
      throw error;
    }
  };
  return {
    totals: () => totals,
    async enter(model, input) {
      const id = `${instance}-${(requests += 1)}`;
      await append({ kind: 'sent', id, model, input });
      return async (settlement) => {
        totals = add(totals, settlement);
        await append({ kind: 'settled', id, ...settlement });
      };
    },
  };
}

async function readIfThere(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
}

const linesOf = (text: string): Line[] =>
  text.split('\n').flatMap((entry) => {
    const parsed = v.safeParse(line, entry);
    return parsed.success ? [parsed.output] : [];
  });

function sumOf(lines: readonly Line[]): LedgerTotals {
  const open = new Map<string, Settlement>();
  let totals: LedgerTotals = { requests: 0, tokens: noTokens, estimated: 0, cost: null };
  for (const entry of lines) {
    if (entry.kind === 'sent') {
      const { model, input } = entry;
      open.set(entry.id, { model, tokens: { ...noTokens, input, total: input }, estimated: true, cost: null });
    } else {
      open.delete(entry.id);
      totals = add(totals, entry);
    }
  }
  return [...open.values()].reduce(add, totals);
}

function add(totals: LedgerTotals, { tokens: used, estimated, cost }: Settlement): LedgerTotals {
  return {
    requests: totals.requests + 1,
    tokens: addTokens(totals.tokens, used),
    estimated: totals.estimated + (estimated ? used.total : 0),
    cost: cost === null ? totals.cost : (totals.cost ?? 0) + cost,
  };
}
