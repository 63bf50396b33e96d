import { lstat, realpath, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { execa } from 'execa';
import type { Engine } from '../../src/runtimes/docker/client.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface OwnImage {
  /** Its name and tag. */
  name: string;
  /** Packages of this Debian whose files it consists of, with the libraries that they need. */
  packages: readonly string[];
  /** In a file of its own, by which it can be told from the host. */
  mark: string;
  /** The variable that it adds to every environment, `NAME=value`. */
  variable: string;
}

/** An image such as an operator would name in `CELLS_DOCKER_IMAGE`: made of some packages of this machine, without a registry. */
export async function importOwnImage(engine: Engine, { name, packages, mark, variable }: OwnImage): Promise<void> {
  await using directory = await temporaryDirectory();
  const [list, extra] = [join(directory.path, 'list'), join(directory.path, 'own-image')];
  const listed = (await Promise.all(packages.map((one) => execa('dpkg', ['--listfiles', one])))).flatMap(({ stdout }) =>
    stdout.split('\n'),
  );
  const files = await withLibraries((await Promise.all(listed.map(placeOf))).flatMap((path) => path ?? []));
  await writeFile(list, [...new Set([...files, '/bin', '/lib', '/lib64'])].map((path) => `.${path}\n`).join(''));
  await writeFile(extra, mark);
  const words = ['--create', '--no-recursion', '--directory', '/', '--files-from', list];
  const archive = execa('tar', [...words, '--directory', directory.path, 'own-image'], { buffer: false });
  const [repo, tag] = name.split(':');
  const said = await text(await engine.importImage(archive.stdout, { repo, tag, changes: [`ENV ${variable}`] }));
  await archive;
  if (said.includes('error')) throw new Error(said);
}

/** Where a file of a package really lies, `/bin` being a link; null for directories and what is not there. */
async function placeOf(path: string): Promise<string | null> {
  const found = await lstat(path).catch(() => null);
  if (found === null || found.isDirectory()) return null;
  return join(await realpath(dirname(path)), basename(path));
}

/** With the shared libraries that programs need, each by the name it is asked for and as the file behind that. */
async function withLibraries(files: readonly string[]): Promise<string[]> {
  const { stdout } = await execa('ldd', files, { reject: false });
  const libraries = [...new Set([...stdout.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? []))];
  const named = (await Promise.all(libraries.map(placeOf))).flatMap((path) => path ?? []);
  const behind = await Promise.all(named.map((path) => realpath(path)));
  return [...new Set([...files, ...named, ...behind])];
}
