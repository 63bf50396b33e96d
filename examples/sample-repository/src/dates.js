const hour = 60 * 60 * 1000;

/** Whole days between two dates such as "2026-02-27", in whichever order they are given. */
export function daysBetween(from, to) {
  return Math.round((Date.parse(to) - Date.parse(from)) / hour);
}
