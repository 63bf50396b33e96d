/** User ids of cells begin here: no user of a host has one that is so large. */
const first = 2 ** 30;

/**
 * The user that a confined cell runs as where the worker is root: told by the first 29 bits of what its processes are marked by, so
 * that nothing has to be remembered. Null where the worker is not root: then it is the worker's own.
 */
export function cellUser(mark: string): number | null {
  if (process.getuid?.() !== 0) return null;
  return first + (Number.parseInt(mark.slice(0, 8), 16) >>> 3);
}
