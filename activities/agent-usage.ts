import waitFor from 'p-wait-for';
import type { CellHost } from '../src/cell/host.ts';
import { NoLease } from '../src/cell/leases.ts';
import { cellPaths } from '../src/cell/paths.ts';
import { noTokens } from '../src/domain/outcome.ts';
import type { CellAccount } from '../src/gateway/gateway.ts';
import { openLedger } from '../src/gateway/ledger.ts';
import { type SessionMessage, summaryOf } from '../src/opencode/session.ts';
import type { TurnProgress } from '../src/opencode/turn.ts';
import { countUsage } from '../src/opencode/usage.ts';
import type { AgentUsage } from './contract.ts';

/** What the agent has used as far as its progress told; nothing when there was none. */
export function usageOf(progress: TurnProgress | null): AgentUsage {
  if (progress === null) return { tokens: noTokens, cost: null, summary: '', lastActivity: null };
  const { tokens, cost, summary, lastActivity } = progress;
  return { tokens, cost, summary, lastActivity };
}

/** What the server has written down: of a turn that was cut short, the last event may not have come through. */
export function usageIn(messages: readonly SessionMessage[]): Pick<AgentUsage, 'tokens' | 'cost' | 'summary'> {
  const count = countUsage();
  for (const { info } of messages) count.add(info);
  return { tokens: count.tokens(), cost: count.cost(), summary: summaryOf(messages) };
}

/** What the gateway has counted for a cell, once its requests are settled; null where it has no door, or nobody can say. */
export async function settledAccount({ gateway }: CellHost, cellId: string): Promise<CellAccount | null> {
  let account: CellAccount | null = null;
  // A request that was just aborted is settled in a moment.
  const isSettled = async () => (account = (await gateway?.account(cellId)) ?? null) === null || account.active === 0;
  await waitFor(isSettled, { interval: 20, timeout: 2_000 }).catch(() => undefined);
  return account;
}

/**
 * What a cell has used of its models when it is lost, after which it can ask them no more; null where it has no door. A server
 * whose worktree is gone may say that it has stopped, and go on asking: what that uses would be counted nowhere.
 */
export async function lastAccount(host: CellHost, cellId: string): Promise<Counted | null> {
  const account = await settledAccount(host, cellId);
  if (account?.active === 0) return account;
  if (account !== null) await host.gateway?.close(cellId);
  return await writtenAccount(host, cellId);
}

/** What stands in the account of a cell on disk, whose door may be closed; null where there is none. */
export async function writtenAccount({ stateDirectory }: CellHost, cellId: string): Promise<Counted | null> {
  const { requests, tokens, cost } = (await openLedger(cellPaths(stateDirectory, cellId).modelLedger)).totals();
  return requests === 0 ? null : { tokens, cost };
}

/** What of an account stays true when the door is closed. */
type Counted = Pick<CellAccount, 'tokens' | 'cost'>;

/**
 * What the gateway counted, where the cell has a door, stands in place of what its server told: the cell cannot change it. The price
 * of a model that the operator gives none for is known to the server alone.
 */
export function metered<Usage extends Pick<AgentUsage, 'tokens' | 'cost'>>(
  usage: Usage,
  account: Counted | null,
): Usage {
  return account === null ? usage : { ...usage, tokens: account.tokens, cost: account.cost ?? usage.cost };
}

/** The failure that is being thrown says what happened: a lease that is gone has no place for the usage. */
export function unlessLost(error: unknown): void {
  if (!(error instanceof NoLease)) throw error;
}
