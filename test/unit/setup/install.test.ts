import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { root } from '../../support/source-files.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const forThisMachine = { os: [process.platform], cpu: [process.arch] };
const forAnother = { os: ['aix'], cpu: ['ppc64'] };

describe('the bootstrap, where npm skips an optional package without a word', { timeout: 60_000 }, () => {
  test('installs again when the package is for this kind of machine, and not for the sake of any other', async () => {
    await using checkout = await checkoutWith({ refusals: 1 });
    const { exitCode, stderr, stdout } = await checkout.bootstrap();
    expect({ exitCode, last: stdout.split('\n').at(-1) }).toEqual({ exitCode: 0, last: 'ran' });
    expect(stderr).toContain('did not install node_modules/native.');
    expect(await checkout.installed()).toEqual(['native']);
    expect(checkout.asked).toEqual(['native', 'native']);
  });

  test('installs once and never again when all is there', async () => {
    await using checkout = await checkoutWith({ refusals: 0 });
    await checkout.bootstrap();
    const again = await checkout.bootstrap();
    expect({ stdout: again.stdout, stderr: again.stderr }).toEqual({ stdout: 'ran', stderr: '' });
    expect(checkout.asked).toEqual(['native']);
  });

  test('notices a package that is in no record, and one whose files are gone', async () => {
    await using checkout = await checkoutWith({ refusals: 0 });
    await checkout.bootstrap();
    await checkout.forget('native');
    expect((await checkout.bootstrap()).stderr).toContain('Installing packages');
    await rm(join(checkout.path, 'node_modules/native'), { recursive: true });
    expect((await checkout.bootstrap()).stderr).toContain('Installing packages');
    expect(await checkout.installed()).toEqual(['native']);
  });

  test('gives up after three attempts, and says what is missing and what to look at', async () => {
    await using checkout = await checkoutWith({ refusals: 100 });
    const { exitCode, stderr, stdout } = await checkout.bootstrap();
    expect({ exitCode, ran: stdout.includes('ran') }).toEqual({ exitCode: 1, ran: false });
    expect(stderr).toContain('3 of 3 attempts');
    expect(stderr).toContain('npm config get registry');
    expect(checkout.asked).toEqual(['native', 'native', 'native']);
  });

  test('says so when a native module is there and does not load', async () => {
    await using checkout = await checkoutWith({ refusals: 0, main: 'native.node' });
    const { exitCode, stderr } = await checkout.bootstrap();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/does not load here: .*native\.node/s);
  });
});

/** A checkout that is set up as ours is, with one package for this machine and one for another, and a registry that refuses at first. */
async function checkoutWith({ refusals, main }: { refusals: number; main?: string }) {
  const directory = await temporaryDirectory();
  const path = join(directory.path, 'checkout');
  // The pinned Node.js is found here, as in any folder above.
  await mkdir(path);
  await symlink(join(root, 'node_modules'), join(directory.path, 'node_modules'));
  for (const part of ['bin', 'scripts']) await cp(join(root, part), join(path, part), { recursive: true });
  await writeFile(join(path, 'scripts/says.mjs'), "console.log('ran');\n");

  const asked: string[] = [];
  const tarball = await packed(directory.path, { name: 'native', version: '1.0.0', main, ...forThisMachine });
  const registry = createServer((request, response) => {
    asked.push((request.url ?? '').replace(/^\/|\.tgz$/g, ''));
    if (asked.length <= refusals) response.writeHead(503).end();
    else response.end(tarball);
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  await writeLock(path, registry);

  return {
    path,
    asked,
    bootstrap: () =>
      execa('node', [join(path, 'scripts/bootstrap.mjs'), 'scripts/says.mjs'], {
        reject: false,
        cwd: path,
        env: { npm_config_cache: join(directory.path, 'cache'), npm_config_fetch_retries: '0' },
      }),
    installed: async () => Object.keys((await record(path)).packages).map((name) => name.replace('node_modules/', '')),
    forget: async (name: string) => {
      const { [`node_modules/${name}`]: _, ...packages } = (await record(path)).packages;
      await writeFile(recordOf(path), JSON.stringify({ ...(await record(path)), packages }));
    },
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => registry.close(resolve));
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function writeLock(path: string, registry: Server) {
  const address = registry.address();
  if (address === null || typeof address === 'string') throw new Error('the registry of the test does not listen');
  const url = `http://127.0.0.1:${address.port}`;
  const optionalDependencies = { native: '1.0.0', foreign: '1.0.0' };
  const own = { name: 'checkout', version: '1.0.0', optionalDependencies };
  const locked = (name: string, machine: object) => ({
    [`node_modules/${name}`]: { version: '1.0.0', resolved: `${url}/${name}.tgz`, optional: true, ...machine },
  });
  const packages = { '': own, ...locked('native', forThisMachine), ...locked('foreign', forAnother) };
  await writeFile(join(path, 'package.json'), JSON.stringify(own));
  await writeFile(
    join(path, 'package-lock.json'),
    JSON.stringify({ ...own, lockfileVersion: 3, requires: true, packages }),
  );
}

async function packed(directory: string, manifest: { name: string; version: string; main?: string | undefined }) {
  await mkdir(join(directory, 'package'));
  await writeFile(join(directory, 'package/package.json'), JSON.stringify(manifest));
  if (manifest.main !== undefined) await writeFile(join(directory, 'package', manifest.main), 'for another machine');
  const { stdout } = await execa('tar', ['cz', '-C', directory, 'package'], { encoding: 'buffer' });
  return stdout;
}

function recordOf(path: string) {
  return join(path, 'node_modules/.package-lock.json');
}

async function record(path: string) {
  // npm has written it.
  return JSON.parse(await readFile(recordOf(path), 'utf8')) as { packages: Record<string, object> };
}
