/** Deeper than what anybody reads. */
const deepest = 6;

/**
 * What may be logged in place of a value: strings, numbers, booleans, null, arrays and plain objects. An error becomes
 * its type, message, stack, code, cause and errors; its other fields stay out, for they may hold whole environments.
 *
 * Objects of the platform have accessors that throw on a copy, and what hides the secrets of a line makes copies.
 */
export function loggable(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= deepest) return '[…]';
  if (value instanceof Error) return errorFields(value, depth);
  if ('toJSON' in value && typeof value.toJSON === 'function') return loggable(value.toJSON(), depth + 1);
  if (Array.isArray(value)) return value.map((item) => loggable(item, depth + 1));
  return fields(value, depth);
}

/** As `loggable`, for the fields of a line. */
export function fields(value: object, depth = 0): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, loggable(field, depth + 1)]));
}

function errorFields(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return {
    type: name,
    message,
    stack,
    ...('code' in error ? { code: loggable(error.code, depth + 1) } : {}),
    ...(cause === undefined ? {} : { cause: loggable(cause, depth + 1) }),
    ...(error instanceof AggregateError ? { errors: loggable(error.errors, depth + 1) } : {}),
  };
}
