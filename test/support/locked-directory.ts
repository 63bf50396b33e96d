import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDirectory } from './temporary-directory.ts';

/** A directory that may not be entered by whom the `user` names: root may enter them all, so it is another one where the tests run as root. */
export interface LockedDirectory extends AsyncDisposable {
  path: string;
  user: { uid?: number; gid?: number };
}

export async function lockedDirectory(): Promise<LockedDirectory> {
  await using stack = new AsyncDisposableStack();
  const above = stack.use(await temporaryDirectory());
  const path = join(above.path, 'locked');
  await chmod(above.path, 0o755);
  await mkdir(path);
  await chmod(path, 0o000);
  stack.defer(() => chmod(path, 0o700));
  const owned = stack.move();
  return {
    path,
    user: process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {},
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
