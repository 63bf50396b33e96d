import type { Conversation } from './conversation.ts';
import type { Script, Scripts, Turn } from './script.ts';
import { uses } from './template.ts';

/** The turn to play, or why there is none. `code` is for programs. */
export type Choice =
  | { ok: true; name: string; turn: Turn }
  | { ok: false; name: string | null; code: RefusalCode; message: string };

export type RefusalCode = 'no_script' | 'unknown_script' | 'script_over' | 'unknown_worktree';

/** Finds the turn that a conversation has come to. A marker that no script has is refused, even where there is a default. */
export function chooseTurn(scripts: Scripts, conversation: Conversation): Choice {
  const { marker, round, turn: number } = conversation;
  const name = marker ?? 'default';
  // Own keys alone: "constructor" is not a script.
  const script = Object.hasOwn(scripts, name) ? scripts[name] : undefined;
  if (script === undefined) return noScript(scripts, marker);
  const turn = turnOf(script, round - 1, number - 1);
  if (turn === null) {
    const message = `the script has no turn ${number} in round ${round}: add it, or set repeat`;
    return { ok: false, name, code: 'script_over', message };
  }
  if (conversation.worktree === null && uses(turn, 'worktree')) {
    const message = `the script uses {{worktree}}, but the system prompt has no line "Working directory: /…"`;
    return { ok: false, name, code: 'unknown_worktree', message };
  }
  return { ok: true, name, turn };
}

function noScript(scripts: Scripts, marker: string | null): Choice {
  const known = `the scripts are ${listOf(Object.keys(scripts))}`;
  if (marker === null) {
    return {
      ok: false,
      name: null,
      code: 'no_script',
      message: `the first prompt has no marker [script: name]; ${known}`,
    };
  }
  const missing = soundsPassing.test(marker) ? 'no such script' : `no script "${marker}"`;
  return { ok: false, name: null, code: 'unknown_script', message: `there is ${missing}; ${known}` };
}

/**
 * OpenCode reads the text of an error, whatever its status: what sounds as if it would pass it tries again for more than a minute.
 * A name such as `rate-limited` would do that to a plain mistake.
 */
const soundsPassing =
  /\d{3}|limit|error|fetch|over.?load|unavailable|exhausted|terminated|time(d.?)?.?out|too.?many|connect|socket|retry|try|capacity|addrinfo|enotfound|eai|econn/i;

function listOf(names: string[]): string {
  const sayable = names.filter((name) => !soundsPassing.test(name)).toSorted();
  const others = names.length - sayable.length;
  return [...sayable, ...(others === 0 ? [] : [`${others} more`])].join(', ');
}

/** Both indexes count from 0. */
function turnOf(script: Script, round: number, turn: number): Turn | null {
  const last = script.rounds.length - 1;
  const turns = script.rounds[Math.min(round, last)]?.turns ?? [];
  switch (script.repeat) {
    case 'none':
      return round > last ? null : (turns[turn] ?? null);
    case 'last-round':
      return turns[turn] ?? null;
    case 'last-turn':
      return (round > last ? undefined : turns[turn]) ?? turns.at(-1) ?? null;
  }
}
