import type { LedgerEntry } from '../../src/scripted-model/ledger.ts';
import type { ScriptedModel } from '../../src/scripted-model/server.ts';

/** What agents asked a model for, beside titles and summaries. */
export function turnsOf(model: ScriptedModel, script?: string): LedgerEntry[] {
  return model.ledger().filter((entry) => entry.kind === 'turn' && (script === undefined || entry.script === script));
}

/** `round.turn` of each request, in order: a turn that was asked for twice is there twice. */
export function places(turns: readonly LedgerEntry[]): string[] {
  return turns.map(({ round, turn }) => `${round}.${turn}`);
}

/** How many agents wait for the model's answer to this turn just now. */
export function waitingFor(model: ScriptedModel, script: string, turn: number): number {
  return turnsOf(model, script).filter((entry) => entry.turn === turn && entry.outcome === 'under-way').length;
}
