/** What a script may put between double braces. */
export interface Variables {
  /** The absolute working directory that the agent named in its system prompt; null when it named none. */
  worktree: string | null;
  /** Counts the messages of the user, from 1. */
  round: number;
  /** Counts the calls of the model within the round, from 1. */
  turn: number;
}

const names: ReadonlySet<string> = new Set(['worktree', 'round', 'turn'] satisfies (keyof Variables)[]);

/** Without spaces inside the braces: `{{ this }}` stays as it is, for the sake of files that contain such a thing. */
const variable = /\{\{([A-Za-z]+)\}\}/g;

/** Fills the variables into every string of a value. */
export function fill<Value>(value: Value, variables: Variables): Value {
  const filled = mapStrings(value, (text) =>
    text.replaceAll(variable, (whole, name: string) => valueOf(name, variables) ?? whole),
  );
  // Strings are mapped to strings, and everything else keeps its shape.
  return filled as Value;
}

/** The names between double braces that are no variables: typing mistakes. */
export function unknownVariables(value: unknown): string[] {
  return namesIn(value).filter((name) => !names.has(name));
}

/** Whether a value names the variable. */
export function uses(value: unknown, name: keyof Variables): boolean {
  return namesIn(value).includes(name);
}

function namesIn(value: unknown): string[] {
  const found = new Set<string>();
  mapStrings(value, (text) => {
    for (const [, name = ''] of text.matchAll(variable)) found.add(name);
    return text;
  });
  return [...found];
}

function valueOf(name: string, variables: Variables): string | null {
  switch (name) {
    case 'worktree':
      return variables.worktree;
    case 'round':
      return String(variables.round);
    case 'turn':
      return String(variables.turn);
    default:
      return null;
  }
}

function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapStrings(item, change)]));
}
