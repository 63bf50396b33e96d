import { isAbsolute, relative } from 'node:path';
import * as v from 'valibot';
import { UserError } from '../domain/user-error.ts';

/** An error of the system that says that something may not be done. A socket is named by its address. */
const refusal = v.object({
  code: v.picklist(['EACCES', 'EPERM', 'EROFS']),
  message: v.string(),
  syscall: v.optional(v.string()),
  path: v.optional(v.string()),
  address: v.optional(v.string()),
});

/**
 * What is to be told where the system refused something in the state directory: most likely another user runs the command than the
 * worker. Null for any other error. It is decided here, for a state directory is used in too many places for each to say so.
 */
export function stateDirectoryFault(error: unknown, stateDirectory: string): UserError | null {
  const parsed = v.safeParse(refusal, error);
  if (!parsed.success) return null;
  const { message, syscall, path, address } = parsed.output;
  const place = path ?? address;
  if (place === undefined) return null;
  // It is made with the directories above it, and the one that could not be is named.
  if (!isIn(stateDirectory, place) && !(syscall === 'mkdir' && isIn(place, stateDirectory))) return null;
  return new UserError(
    'InvalidConfiguration',
    `the state directory ${stateDirectory} cannot be used by this user: ${message}`,
    {
      try: 'run the command as the user of the worker, or set CELLS_STATE_DIR to a directory of this user',
      cause: error,
    },
  );
}

function isIn(directory: string, path: string): boolean {
  const way = relative(directory, path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}
