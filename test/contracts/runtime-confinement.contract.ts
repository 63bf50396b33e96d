import { once } from 'node:events';
import { chmod, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { type RequestListener, createServer } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, expect, test } from 'vitest';
import { giveToCell } from '../../src/runtimes/cell-user.ts';
import { type Confinement, type EnforcedField, modelPort, modelSocketName } from '../../src/runtimes/runtime.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type CellUnderTest, script } from './cell-under-test.ts';

const never = new AbortController().signal;
const mebibyte = 1024 * 1024;

/** What a runtime promises that confines: what its cells see, reach and use. */
export function confinementContract(newCell: () => Promise<CellUnderTest>, unconfined: string | undefined): void {
  const because = unconfined ? ` (${unconfined})` : '';

  describe.skipIf(unconfined)(`confining a cell${because}`, () => {
    test('lets it write its own directories, as a user of the host that is not root', async () => {
      await using cell = await newCell();
      expect(await run(cell, 'echo mine > own; id -u')).toMatchObject({ exitCode: 0 });
      expect(await readFile(join(cell.directory, 'own'), 'utf8')).toBe('mine\n');
      expect((await stat(join(cell.directory, 'own'))).uid).not.toBe(0);
    });

    test('lets it write nothing else', async () => {
      await using cell = await newCell();
      const places = ['/usr/outside', '/etc/outside', '/outside', '/run/cell/out/outside', '/proc/sys/kernel/hostname'];
      // Above its own directories there is nothing but what bubblewrap made to hold them, which is gone with the cell.
      const above = `echo out > '${cell.directory}/../outside'`;
      const tries = places.map((path) => `(echo out > '${path}') && echo "wrote ${path}"`).join('; ');
      await run(cell, `(${above}; ${tries}) 2>/dev/null; exit 0`);
      expect(await output(cell)).toBe('');
      await expect(stat(`${cell.directory}/../outside`)).rejects.toThrow('ENOENT');
    });

    test('shows it what it may read, and nothing else of the host', async () => {
      await using cell = await newCell();
      const secret = join(cell.directory, '..', 'secret');
      const shown = join(cell.directory, '..', 'shown');
      await writeFile(secret, 'of the host');
      await writeFile(shown, 'for the cell', { mode: 0o644 });
      const readable = [{ source: shown, target: '/run/shown' }];
      const hidden = `cat '${secret}' /etc/shadow; ls -A '${homedir()}'`;
      await run(cell, `(${hidden}) 2>/dev/null; cat /run/shown`, { readable });
      expect(await output(cell)).toBe('for the cell');
    });

    test('shows it no process but its own', async () => {
      await using cell = await newCell();
      await run(
        cell,
        `cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; kill -0 ${process.pid} && echo rea''ched`,
      );
      expect(await output(cell)).not.toContain('vitest');
      expect(await output(cell)).not.toContain('reached');
    });

    test('gives it no network: not the loopback of the host, no route, no name', async () => {
      await using cell = await newCell();
      await using host = await httpServer('host');
      await run(cell, `${ask('127.0.0.1', host.port)}; cat /proc/net/route; ${ask('169.254.169.254', 80)}; exit 0`);
      expect(await output(cell)).not.toContain('200 OK');
      expect(await output(cell)).not.toMatch(/^\w+\s+00000000/m);
    });

    test('leads it to the targets that it may reach, by their names, and to no other port of theirs', async () => {
      await using cell = await newCell();
      await using allowed = await httpServer('allowed');
      await using other = await httpServer('other');
      const allow = [`localhost:${allowed.port}`];
      await run(cell, `${ask('localhost', allowed.port)}; ${ask('localhost', other.port)}; exit 0`, { allow });
      expect(await output(cell)).toContain('allowed');
      expect(await output(cell)).not.toContain('other');
    });

    test('leads to its server from the port that is held for it, and not where a link in its stead points', async () => {
      await using cell = await newCell();
      const { runtime, cellId } = cell;
      const port = await freePort();
      const answers = `while read -r line && [ \${#line} -gt 1 ]; do :; done; printf 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom inside'`;
      await writeFile(join(cell.directory, 'answer.sh'), answers);
      const serve = 'exec socat TCP4-LISTEN:4096,bind=127.0.0.1,fork,reuseaddr EXEC:"sh answer.sh"';
      await runtime.holdPort(cellId, port);
      const spec = cell.spec(['/bin/sh', '-c', serve]);
      await runtime.start({ ...spec, ...confined(cell, { inlet: cell.inlet }) }, never);
      await waitUntil(async () => (await stat(join(cell.inlet, 'server.sock')).catch(() => null)) !== null);
      await runtime.relayPort(cellId, 4096);
      const answer = () =>
        fetch(`http://127.0.0.1:${port}`).then(
          (response) => response.text(),
          () => '',
        );
      await waitUntil(async () => (await answer()) === 'from inside');
      await using elsewhere = await httpServer('elsewhere', join(cell.outlet, 'elsewhere.sock'));
      await run(cell, `rm '${cell.inlet}/server.sock'; ln -s '${elsewhere.path}' '${cell.inlet}/server.sock'`, {
        writable: [cell.directory, cell.inlet],
      });
      expect(await answer()).not.toContain('elsewhere');
    });

    test('refuses a socket that is a link when the port is led to it', async () => {
      await using cell = await newCell();
      await using elsewhere = await httpServer('elsewhere', join(cell.outlet, 'elsewhere.sock'));
      await cell.runtime.start({ ...cell.spec(['sleep', '300']), ...confined(cell, { inlet: cell.inlet }) }, never);
      await waitUntil(async () => (await stat(join(cell.inlet, 'server.sock')).catch(() => null)) !== null);
      await run(cell, `rm '${cell.inlet}/server.sock'; ln -s '${elsewhere.path}' '${cell.inlet}/server.sock'`, {
        writable: [cell.directory, cell.inlet],
      });
      await expect(cell.runtime.relayPort(cell.cellId, 4096)).rejects.toThrow();
    });

    test('tells its gateway when who asked has gone, while it goes on itself', async () => {
      await using cell = await newCell();
      await mkdir(cell.outlet, { recursive: true });
      let [asked, left] = [false, false];
      await using _gateway = await httpServer(
        (_request, response) => {
          asked = true;
          response.once('close', () => (left = true));
        },
        join(cell.outlet, modelSocketName),
      );
      // The client keeps its own side open until it is ended; the cell lives on.
      const abandoned = `(printf 'GET / HTTP/1.0\\r\\n\\r\\n'; exec sleep 300) | timeout 1 socat - TCP4:127.0.0.1:${modelPort}`;
      const spec = cell.spec(['/bin/sh', '-c', abandoned]);
      await cell.runtime.start({ ...spec, ...confined(cell, { model: true }) }, never);
      await waitUntil(() => asked && left);
      expect(await cell.processes()).not.toEqual([]);
    });

    test('ends what uses more memory than it may, says so, and lets the next one run', async ({ skip }) => {
      await using cell = await newCell();
      skipWhereUnlimited(cell, skip);
      const limits = { memory: 64 * mebibyte, cpus: null, pids: null, disk: null };
      const eats = ['/bin/sh', '-c', 'exec tail /dev/zero'] as const;
      const server = await cell.runtime.start({ ...cell.spec(eats), ...confined(cell, { limits }) }, never);
      await waitUntil(async () => (await cell.runtime.inspect(server)).kind !== 'running');
      expect(await cell.runtime.inspect(server)).toMatchObject({ outOfMemory: true });
      await cell.runtime.destroy(cell.cellId);
      expect(await run(cell, 'true', { limits })).toMatchObject({ exitCode: 0 });
    });

    test('says of a command that it ran out of memory, and says it of no other', async ({ skip }) => {
      await using cell = await newCell();
      skipWhereUnlimited(cell, skip);
      const limits = { memory: 64 * mebibyte, cpus: null, pids: null, disk: null };
      expect(await run(cell, 'tail /dev/zero', { limits })).toMatchObject({ outOfMemory: true });
      expect(await run(cell, 'exit 137', { limits })).not.toHaveProperty('outOfMemory');
    });

    test('counts what has emptied its environment', async ({ skip }) => {
      await using cell = await newCell();
      skipWhereUnlimited(cell, skip);
      const limits = { memory: 64 * mebibyte, cpus: null, pids: null, disk: null };
      // It has the memory for as long as that takes to be seen: the writer ends with its reader.
      const writes = 'head -c 150000000 /dev/zero; while echo 2>/dev/null; do sleep 0.1; done';
      const holds = `(${writes}) | env -i tail -c 200000000 >/dev/null`;
      expect(await run(cell, holds, { limits })).toMatchObject({ outOfMemory: true });
    });

    test('keeps the number of processes below its limit, and ends a fork bomb', async ({ skip }) => {
      await using cell = await newCell();
      skipWhereUnlimited(cell, skip, 'resources.pids');
      const limits = { memory: 256 * mebibyte, cpus: null, pids: 60, disk: null };
      const bomb = cell.command(script('fork-bomb'), { timeoutMs: 2_000 });
      const result = cell.runtime.exec({ ...bomb, ...confined(cell, { limits }) }, never);
      let most = 0;
      const watch = setInterval(
        () => void cell.processes().then((found) => (most = Math.max(most, found.length))),
        100,
      );
      expect(await result.finally(() => clearInterval(watch))).toMatchObject({ exitCode: null, timedOut: true });
      expect(most).toBeLessThan(70);
      expect(await cell.processes()).toEqual([]);
    });

    test('lets it write no file that is larger than it may have, and not raise that', async () => {
      await using cell = await newCell();
      const limits = { memory: null, cpus: null, pids: null, disk: mebibyte };
      const write = (bytes: number, name: string) => `head -c ${bytes} /dev/zero > ${name} 2>/dev/null`;
      await run(cell, `ulimit -f unlimited; ${write(mebibyte, 'whole')}; ${write(mebibyte + 1, 'cut')}; exit 0`, {
        limits,
      });
      const sizeOf = async (name: string) => (await stat(join(cell.directory, name))).size;
      expect([await sizeOf('whole'), await sizeOf('cut')]).toEqual([mebibyte, mebibyte]);
    });

    test('tells what a cell uses, and its limit', async ({ skip }) => {
      await using cell = await newCell();
      skipWhereUnlimited(cell, skip);
      expect(await cell.runtime.stats(cell.cellId)).toBeNull();
      const limits = { memory: 128 * mebibyte, cpus: 1, pids: 100, disk: null };
      await cell.runtime.start({ ...cell.spec(['sleep', '300']), ...confined(cell, { limits }) }, never);
      await waitUntil(async () => ((await cell.runtime.stats(cell.cellId))?.processes ?? 0) > 0);
      const stats = await cell.runtime.stats(cell.cellId);
      expect(stats).toMatchObject({ memoryLimit: 128 * mebibyte });
      expect(stats?.memory).toBeGreaterThan(0);
    });

    test('gives it no further namespaces, no mounts, and no sockets that know no namespace', async () => {
      await using cell = await newCell();
      await run(
        cell,
        [
          'unshare --user true && echo namespaces',
          'mount -t tmpfs none /tmp && echo mounts',
          // AF_VSOCK and AF_ALG, by their numbers.
          `perl -e 'socket(S, 40, 1, 0) and print "vsock\\n"'`,
          `perl -e 'socket(S, 38, 5, 0) and print "alg\\n"'`,
          'exit 0',
        ].join('; '),
      );
      expect(await output(cell)).not.toMatch(/^(namespaces|mounts|vsock|alg)$/m);
    });

    test('leaves it no way to root by a file with the bit of its owner set', async () => {
      await using cell = await newCell();
      await run(cell, 'cp /usr/bin/id own-id; chmod 4755 own-id; ./own-id -u; sudo -n id -u; exit 0');
      expect((await stat(join(cell.directory, 'own-id'))).uid).not.toBe(0);
      expect(await output(cell)).not.toMatch(/^0$/m);
    });

    test('does not follow a link of the cell when it is given its files', async () => {
      await using cell = await newCell();
      const theirs = join(cell.directory, '..', 'theirs');
      await mkdir(theirs);
      await chmod(theirs, 0o700);
      await symlink(theirs, join(cell.directory, 'link'));
      await giveToCell(cell.cellId, [cell.directory]);
      expect((await stat(theirs)).uid).toBe(process.getuid?.());
    });
  });
}

/** The confinement of a cell, changed. */
function confined(cell: CellUnderTest, change: Partial<Confinement>): { confinement: Confinement } {
  const { confinement } = cell.spec(['true']);
  if (confinement === undefined) throw new Error('the runtime does not confine');
  return { confinement: { ...confinement, ...change } };
}

/** Where nothing limits a cell, what eats memory or forks would take the machine with it. */
function skipWhereUnlimited({ runtime }: CellUnderTest, skip: TestContext['skip'], field?: EnforcedField): void {
  const why = runtime.unsupported.resources ?? (field && runtime.unsupported[field]);
  skip(why !== undefined, why);
}

function run(cell: CellUnderTest, text: string, change: Partial<Confinement> = {}) {
  return cell.runtime.exec({ ...cell.command(['/bin/sh', '-c', text]), ...confined(cell, change) }, never);
}

const output = (cell: CellUnderTest): Promise<string> => readFile(cell.logFile, 'utf8');

/** Asks a web server, by what every system has. */
const ask = (host: string, port: number): string =>
  `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 socat -t 4 - TCP4:${host}:${port},connect-timeout=2`;

interface WebServer extends AsyncDisposable {
  port: number;
  path: string;
}

async function httpServer(answer: string | RequestListener, path?: string): Promise<WebServer> {
  const server = createServer(typeof answer === 'string' ? (_request, response) => response.end(answer) : answer);
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  if (path !== undefined) await chmod(path, 0o777);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    path: path ?? '',
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function freePort(): Promise<number> {
  await using server = await httpServer('');
  return server.port;
}
