import { createHash } from 'node:crypto';
import { readlink } from 'node:fs/promises';
import { type Pack, pack } from 'tar-stream';

/** One entry of the base image. */
export type BaseEntry =
  | { kind: 'directory'; name: string; mode: number }
  | { kind: 'link'; name: string; to: string }
  | { kind: 'file'; name: string; text: string };

/** What every base has; a mount takes over the mode of the directory under it. */
const directories: readonly [name: string, mode: number][] = [
  ['dev', 0o755],
  ['etc', 0o755],
  ['home', 0o755],
  ['proc', 0o755],
  ['root', 0o700],
  ['run', 0o755],
  ['sys', 0o755],
  ['tmp', 0o1777],
  ['usr', 0o755],
  ['var', 0o755],
  ['var/tmp', 0o1777],
];

/** Of these the host says whether they lead into `/usr`, as they do on every system of the last years. */
const systemLinks = ['bin', 'lib', 'lib32', 'lib64', 'libx32', 'sbin'];

/** Where a container has its users: the one that a cell runs as is known only when it starts. */
export const usersDirectory = '/run/agent-cells';

const files: Readonly<Record<string, string>> = {
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  'etc/shells': '/bin/sh\n/bin/bash\n',
};

/**
 * The base image: directories for what is mounted, and as much of `/etc` as programs ask for. It has no program in it: `/usr` is the
 * host's, which is bound when a container is made.
 */
export async function baseTree(): Promise<BaseEntry[]> {
  const links = await Promise.all(
    systemLinks.map(async (name): Promise<BaseEntry[]> => {
      const to = await readlink(`/${name}`).catch(() => null);
      return to === null ? [] : [{ kind: 'link', name, to }];
    }),
  );
  return [
    ...directories.map(([name, mode]): BaseEntry => ({ kind: 'directory', name, mode })),
    ...links.flat(),
    ...['passwd', 'group'].map((name): BaseEntry => ({
      kind: 'link',
      name: `etc/${name}`,
      to: `${usersDirectory}/${name}`,
    })),
    ...Object.entries(files).map(([name, text]): BaseEntry => ({ kind: 'file', name, text })),
  ];
}

/** Twelve hex digits that differ where the trees do. */
export const digestOf = (tree: readonly BaseEntry[]): string =>
  createHash('sha256').update(JSON.stringify(tree)).digest('hex').slice(0, 12);

/** The tree as a tar archive, the same bytes each time. */
export function archiveOf(tree: readonly BaseEntry[]): Pack {
  const archive = pack();
  const mtime = new Date(0);
  for (const entry of tree) {
    const { name } = entry;
    switch (entry.kind) {
      case 'directory':
        archive.entry({ name, mtime, type: 'directory', mode: entry.mode });
        break;
      case 'link':
        archive.entry({ name, mtime, type: 'symlink', linkname: entry.to });
        break;
      case 'file':
        archive.entry({ name, mtime, mode: 0o644 }, entry.text);
        break;
    }
  }
  archive.finalize();
  return archive;
}
