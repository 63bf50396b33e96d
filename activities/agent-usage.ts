import { NoLease } from '../src/cell/leases.ts';
import { noTokens } from '../src/domain/outcome.ts';
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

/** The failure that is being thrown says what happened: a lease that is gone has no place for the usage. */
export function unlessLost(error: unknown): void {
  if (!(error instanceof NoLease)) throw error;
}
