import { readdir, readFile, readlink } from 'node:fs/promises';

export interface Listener {
  port: number;
  /** Reached from this machine only. */
  loopback: boolean;
  /** Names the socket, as in `/proc/<pid>/fd`. */
  inode: string;
}

/** Every TCP socket of this network namespace that waits for connections. */
export async function listeners(): Promise<Listener[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  const rows = tables.flatMap((table) => table.trim().split('\n').slice(1));
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    if (state !== '0A') return [];
    const [address = '', port = ''] = local.split(':');
    return [{ port: Number.parseInt(port, 16), loopback: loopback.test(address), inode }];
  });
}

/** The sockets that a process holds open; none when it is gone. */
export async function socketsOf(pid: number): Promise<Set<string>> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')));
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}

/** 127/8, ::1 and ::ffff:127/8, in the kernel's byte order. */
const loopback = /^(.{6}7F|0{24}01000000|0{16}FFFF0000.{6}7F)$/i;
