/** Numbers from 0 to 1, without 1: the same ones for the same seed. */
export type Random = () => number;

/** The generator of Marsaglia, "Xorshift RNGs" (2003), with 32 bits. */
export function randomFrom(seed: number): Random {
  // Zero is the one state that it never leaves.
  let state = seed >>> 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  // Small seeds begin with small numbers.
  for (let round = 0; round < 8; round += 1) next();
  return next;
}

/** @throws when there is nothing to choose from */
export function choose<Value>(random: Random, values: readonly Value[]): Value {
  const chosen = values[Math.floor(random() * values.length)];
  if (chosen === undefined) throw new Error('there is nothing to choose from');
  return chosen;
}

export function shuffled<Value>(random: Random, values: readonly Value[]): Value[] {
  return values
    .map((value) => ({ value, place: random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ value }) => value);
}
