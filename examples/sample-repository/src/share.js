/** Splits an amount of cents into a share for each person. */
export function share(cents, people) {
  return Array.from({ length: people }, () => cents / people);
}
