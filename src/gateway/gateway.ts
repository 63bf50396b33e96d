import type { TokenUsage } from '../domain/outcome.ts';
import { type Budget, type BudgetState, createBudget } from './budget.ts';
import { createCooldowns } from './cooldown.ts';
import { type Crowd, createCrowd } from './crowd.ts';
import { type Answer, type Door, type OpenDoor, openDoor } from './door.ts';
import { type ExchangeLimits, passOn } from './exchange.ts';
import { type CellGrant, type ProviderRoute, modelLabel } from './grant.ts';
import { createInputRates } from './input-rate.ts';
import { type CellLedger, openLedger } from './ledger.ts';
import { type ModelFigures, createMeter } from './meter.ts';
import { readModelRequest } from './model-request.ts';
import { Refusal, sendRefusal } from './refusal.ts';
import { type RefusalListeners, countRefusals } from './refusal-count.ts';

/** What a cell uses of its models, and whether it waits. */
export interface CellAccount {
  cellId: string;
  budget: BudgetState;
  requests: number;
  tokens: TokenUsage;
  /** Of the tokens in all, how many are estimated. */
  estimatedTokens: number;
  /** US dollars; null while no request had a price. */
  cost: number | null;
  /** Requests that are under way. */
  active: number;
  /** Whether a request was refused since the budget was spent, after it was last raised. */
  refused: boolean;
  /** A request that waits for the cool-down of a model, and until when, milliseconds since the epoch; null when none does. */
  waiting: { model: string; until: number } | null;
}

/** The way of all cells of a host to their models. Disposing of it closes every door. */
export interface Gateway extends AsyncDisposable {
  /** Opens the door of a cell, or gives one that is open new routes. The budget is raised, never lowered; what was used stays. */
  open(grant: CellGrant): Promise<Door>;
  /** Raises the budget of a cell whose door is open. Answers null when it is not. */
  extend(cellId: string, tokenBudget: number): CellAccount | null;
  /** Closes the door of a cell and ends its requests. Its account stays on disk. Idempotent. */
  close(cellId: string): Promise<void>;
  accounts(): CellAccount[];
  figures(): ModelFigures[];
}

export interface GatewayOptions extends Partial<RefusalListeners> {
  /** The file with the account of a cell. Its directory exists. */
  ledgerOf: (cellId: string) => string;
  limits?: Partial<ExchangeLimits>;
}

const usualLimits: ExchangeLimits = { silenceMs: 120_000, totalMs: 3_600_000, longestWaitMs: 900_000 };

interface OpenCell {
  routes: readonly ProviderRoute[];
  budget: Budget;
  ledger: CellLedger;
  waiting: Map<object, { model: string; until: number }>;
  crowd: Crowd;
  refused: boolean;
  door: OpenDoor;
}

export function createGateway({ ledgerOf, limits, ...heard }: GatewayOptions): Gateway {
  const cells = new Map<string, Promise<OpenCell>>();
  const opened = new Map<string, OpenCell>();
  const meter = createMeter();
  const cooldowns = createCooldowns();
  const refusals = countRefusals({ refused: () => undefined, failed: () => undefined, ...heard });
  const allLimits = { ...usualLimits, ...limits };

  const openCell = async (grant: CellGrant): Promise<OpenCell> => {
    const ledger = await openLedger(ledgerOf(grant.cellId));
    const rates = createInputRates();
    const cell: Omit<OpenCell, 'door'> = {
      routes: grant.routes,
      budget: createBudget(grant.tokenBudget, ledger.totals().tokens.total),
      ledger,
      waiting: new Map(),
      crowd: createCrowd(),
      refused: false,
    };
    const refuse = (refusal: Refusal) => refusals.refused(grant.cellId, refusal);
    const enter: Answer = async (request, response, gone) => {
      try {
        using place = cell.crowd.enter();
        const call = await readModelRequest(request, cell.routes, place.take);
        const model = modelLabel(call.route.provider, call.model);
        const waiting = (until: number | null) =>
          void (until === null ? cell.waiting.delete(place) : cell.waiting.set(place, { model, until }));
        const deps = { budget: cell.budget, rates, ledger, cooldowns, meter, limits: allLimits, waiting, refuse };
        if ((await passOn(deps, { call, request, response, gone })) === 'refused') cell.refused = true;
      } catch (error) {
        // What is left of a body that is too large is read and dropped: its client listens only when it has sent all.
        request.resume();
        if (error instanceof Refusal) refuse(error);
        if (error instanceof Refusal && !response.headersSent) sendRefusal(response, error);
        else response.destroy();
      }
    };
    const door = await openDoor(grant.door ?? { kind: 'loopback' }, enter, refuse);
    return Object.assign(cell, { door });
  };
  const close = async (cellId: string): Promise<void> => {
    const opening = cells.get(cellId);
    cells.delete(cellId);
    opened.delete(cellId);
    const cell = await opening?.catch(() => null);
    await cell?.door[Symbol.asyncDispose]();
    refusals.closed(cellId);
  };

  return {
    async open(grant) {
      const { cellId, routes, tokenBudget } = grant;
      const opening = cells.get(cellId) ?? openCell(grant);
      cells.set(cellId, opening);
      try {
        const cell = await opening;
        if (cells.get(cellId) === opening) opened.set(cellId, cell);
        cell.routes = routes;
        raise(cell, tokenBudget);
        return cell.door.door;
      } catch (error) {
        if (cells.get(cellId) === opening) cells.delete(cellId);
        throw error;
      }
    },
    extend(cellId, tokenBudget) {
      const cell = opened.get(cellId);
      if (cell === undefined) return null;
      raise(cell, tokenBudget);
      return accountOf(cellId, cell);
    },
    close,
    accounts: () => [...opened].map(([cellId, cell]) => accountOf(cellId, cell)),
    figures: () => meter.figures(cooldowns.until),
    async [Symbol.asyncDispose]() {
      await Promise.all([...cells.keys()].map(close));
    },
  };
}

function raise(cell: OpenCell, tokenBudget: number): void {
  if (tokenBudget > cell.budget.state().total) cell.refused = false;
  cell.budget.raise(tokenBudget);
}

function accountOf(cellId: string, cell: OpenCell): CellAccount {
  const { requests, tokens, estimated, cost } = cell.ledger.totals();
  const waits = [...cell.waiting.values()].toSorted((one, other) => one.until - other.until);
  return {
    cellId,
    budget: cell.budget.state(),
    requests,
    tokens,
    estimatedTokens: estimated,
    cost,
    active: cell.crowd.size(),
    refused: cell.refused,
    waiting: waits[0] ?? null,
  };
}
