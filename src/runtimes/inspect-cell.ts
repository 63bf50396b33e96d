import { readdir, readFile, readlink } from 'node:fs/promises';
import { belongsTo, scanProcesses } from './processes.ts';

/** A process of a cell, as the kernel tells of it. */
export interface SeenProcess {
  pid: number;
  parent: number;
  /** At most 300 characters. */
  command: string;
  user: number | null;
  /** The kinds of namespaces that it does not share with this process. */
  ownNamespaces: string[];
  noNewPrivileges: boolean;
  /** Whether a filter of system calls is in force. */
  seccomp: boolean;
  /** Whether it has no capabilities in its user namespace. */
  withoutCapabilities: boolean;
  /** TCP ports that it listens on, in its network. */
  listens: number[];
}

/** A place in the file system that a process sees. */
export interface SeenMount {
  target: string;
  type: string;
  writable: boolean;
}

/** The processes of a cell by /proc, and the mounts that the innermost of them sees where they are not those of this process. */
export async function inspectCell(
  owner: string,
  mark: string,
): Promise<{ processes: SeenProcess[]; mounts: SeenMount[] | null }> {
  const own = (await scanProcesses()).filter((process) => belongsTo(process, owner, mark));
  const processes = await Promise.all(own.map(({ pid, parent }) => see(pid, parent)));
  const confined = processes.filter(({ ownNamespaces }) => ownNamespaces.includes('mnt')).at(-1);
  return { processes, mounts: confined === undefined ? null : await mountsOf(confined.pid) };
}

async function see(pid: number, parent: number): Promise<SeenProcess> {
  const status = await read(pid, 'status');
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
  const command = (await read(pid, 'cmdline')).replaceAll('\0', ' ').trim();
  return {
    pid,
    parent,
    command: command.length > 300 ? `${command.slice(0, 299).toWellFormed()}…` : command,
    user: field('Uid') === '' ? null : Number(field('Uid')),
    ownNamespaces: await ownNamespaces(pid),
    noNewPrivileges: field('NoNewPrivs') === '1',
    seccomp: field('Seccomp') === '2',
    withoutCapabilities: /^0+$/.test(field('CapEff')),
    listens: await listensOn(pid),
  };
}

async function ownNamespaces(pid: number): Promise<string[]> {
  const kinds = ['user', 'pid', 'mnt', 'net', 'ipc', 'uts'];
  const differs = await Promise.all(
    kinds.map(async (kind) => {
      const [its, ours] = await Promise.all([nameOf(`/proc/${pid}/ns/${kind}`), nameOf(`/proc/self/ns/${kind}`)]);
      return its !== null && its !== ours;
    }),
  );
  return kinds.filter((_, index) => differs[index]);
}

async function mountsOf(pid: number): Promise<SeenMount[]> {
  return (await read(pid, 'mountinfo')).split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , , target, options] = before.split(' ');
    const [type] = after.split(' ');
    if (target === undefined || options === undefined || type === undefined) return [];
    return [{ target: target.replaceAll('\\040', ' '), type, writable: options.split(',').includes('rw') }];
  });
}

/** The state of a socket that listens, as /proc counts it. */
const listening = '0A';

async function listensOn(pid: number): Promise<number[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(descriptors.map((name) => nameOf(`/proc/${pid}/fd/${name}`)));
  const sockets = new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target ?? '')?.[1] ?? []));
  const tables = await Promise.all(['net/tcp', 'net/tcp6'].map((table) => read(pid, table)));
  const ports = tables.flatMap((table) =>
    table.split('\n').flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [address = '', state, inode = ''] = [fields[1], fields[3], fields[9]];
      return state === listening && sockets.has(inode) ? [Number.parseInt(address.split(':')[1] ?? '', 16)] : [];
    }),
  );
  return [...new Set(ports)];
}

const read = (pid: number, file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');

const nameOf = (link: string): Promise<string | null> => readlink(link).catch(() => null);
