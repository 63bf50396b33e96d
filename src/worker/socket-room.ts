import { cellPaths } from '../cell/paths.ts';
import { UserError } from '../domain/user-error.ts';
import { socketOf } from '../supervisor/protocol.ts';

/** The kernel has this much room for the path of a Unix socket, bytes, its end not counted. */
const longestPath = 107;

/** Whose sockets a state directory must have room for. */
export type SocketOwner = 'the supervisor' | 'confined cells';

/** The longest path of each, given the directory. The ways out of a cell, up to ten thousand, have no longer ones. */
const longestOf: Readonly<Record<SocketOwner, (stateDirectory: string) => string>> = {
  'the supervisor': socketOf,
  'confined cells': (stateDirectory) => cellPaths(stateDirectory, '0'.repeat(16)).modelSocket,
};

/**
 * Refuses a state directory below which a socket could not be made: some are wanted only when an agent has done its work.
 *
 * @throws UserError `InvalidConfiguration`
 */
export function requireSocketRoom(stateDirectory: string, owner: SocketOwner): void {
  const length = Buffer.byteLength(stateDirectory);
  const most = length + longestPath - Buffer.byteLength(longestOf[owner](stateDirectory));
  if (length <= most) return;
  throw new UserError(
    'InvalidConfiguration',
    `CELLS_STATE_DIR=${stateDirectory} is too long: sockets of ${owner} lie below it, and the kernel has room for paths of ${longestPath} bytes`,
    { try: `set CELLS_STATE_DIR to a path of at most ${most} bytes; this one has ${length}` },
  );
}
