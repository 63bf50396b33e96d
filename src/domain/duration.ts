import ms, { type StringValue } from 'ms';

/** A number of milliseconds, or a string such as `"90s"` or `"30m"`. */
export type Duration = number | string;

/** A number with a unit; the unit is not optional, for `"5"` could mean anything. */
const form = /^\d+(\.\d+)?\s?[a-z]+$/i;

/** Milliseconds of a duration, or null when it is not one. Zero and negative durations are not durations. */
export function millisecondsOf(duration: Duration): number | null {
  const value = typeof duration === 'number' ? duration : parse(duration);
  return Number.isFinite(value) && value >= 1 ? Math.round(value) : null;
}

function parse(text: string): number {
  // The form was checked, and `ms` answers undefined for a unit that it does not know.
  return form.test(text) ? (ms(text as StringValue) ?? Number.NaN) : Number.NaN;
}
