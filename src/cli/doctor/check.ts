/** What a check found. A warning is something that will do until it does not; a problem keeps cells from running. */
export type Finding =
  | { verdict: 'ok'; detail: string }
  | { verdict: 'warning' | 'problem'; detail: string; try: string };

/** A finding with the name of what was looked at. */
export type Check = { name: string } & Finding;

export const ok = (detail: string): Finding => ({ verdict: 'ok', detail });
export const warning = (detail: string, hint: string): Finding => ({ verdict: 'warning', detail, try: hint });
export const problem = (detail: string, hint: string): Finding => ({ verdict: 'problem', detail, try: hint });

/** Runs a check; one that fails by itself is a problem with that error. */
export async function check(name: string, look: () => Finding | Promise<Finding>): Promise<Check> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    const hint =
      error instanceof Error && 'try' in error && typeof error.try === 'string' ? error.try : 'see the message';
    return { name, ...problem(error instanceof Error ? error.message : String(error), hint) };
  }
}
