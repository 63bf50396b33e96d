import { usersDirectory } from './base-tree.ts';

/** What the engine and `sh` put into every environment. A variable of these that the cell was not given is taken out again. */
const added = ['HOME', 'HOSTNAME', 'OLDPWD', 'PATH', 'PWD', 'TERM'];

/** What the one who started a container writes to it when it is to begin. */
export const beginning = 'begin\n';

/**
 * The command that is process 1 of a container: it waits for `beginning`, runs the other command with both output streams as one, so that
 * their order stays, and ends with it, and all that is left in the container with that. Its standard input is the lifeline: at the end of
 * it, which comes with the end of whoever holds it, everything else in the container is ended. While a shell waits for one child it takes
 * up what others leave, so that there is no need for the engine's own `init`, which would have to lie in the host's `/usr`.
 *
 * @param known names of variables that the image adds
 */
export function firstProcess(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  known: readonly string[],
): string[] {
  const extra = [...new Set([...added, ...known])].filter((name) => !(name in env));
  const script = [
    'exec 3<&0 </dev/null 2>&1',
    'read -r _ <&3 || exit 125',
    // The image has links to these, since nobody knows beforehand who its user will be. In an image of one's own there are none.
    `{ echo "cell:x:$(id -u):$(id -g)::/tmp:/bin/sh" > ${usersDirectory}/passwd; echo "cell:x:$(id -g):" > ${usersDirectory}/group; } 2>/dev/null`,
    ...(extra.length === 0 ? [] : [`unset ${extra.join(' ')}`]),
    '"$@" 3<&- &',
    'main=$!',
    '{ while read -r _; do :; done; kill -KILL -1; } <&3 >/dev/null 2>&1 &',
    'exec 3<&-',
    'wait $main',
  ].join('\n');
  return ['/bin/sh', '-c', script, 'cell', ...command];
}
