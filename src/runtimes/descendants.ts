import { isAlive, type ProcessEntry } from './processes.ts';

/**
 * What each process is by itself, and each descendant of one that is nothing by itself: a child may have emptied its environment. Those of
 * which nothing is known are left out.
 *
 * @param ownOf what a process is by itself; undefined for nothing
 */
export function withDescendants<Value>(
  entries: readonly ProcessEntry[],
  ownOf: (entry: ProcessEntry) => Value | undefined,
): Map<ProcessEntry, Value> {
  const childrenOf = Map.groupBy(entries, (entry) => entry.parent);
  const found = new Map<ProcessEntry, Value>();
  for (const entry of entries) {
    const own = ownOf(entry);
    if (own !== undefined) found.set(entry, own);
  }
  // A map that grows while it is walked: children of children are reached too.
  for (const [parent, value] of found) {
    const children = (childrenOf.get(parent.pid) ?? []).filter((child) => !found.has(child));
    // Only a parent that lives on has held its number all the while, so that these are its children and not a stranger's.
    if (children.length > 0 && isAlive(parent)) for (const child of children) found.set(child, value);
  }
  return found;
}
