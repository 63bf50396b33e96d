import { lstat } from 'node:fs/promises';
import type Dockerode from 'dockerode';
import { cellUser } from '../cell-user.ts';
import { insidePaths, insideTargets } from '../in-cell.ts';
import type { Confinement, Limits, ProcessSpec } from '../runtime.ts';
import { ofEtc, temporaryBytes } from '../sandbox.ts';
import { usersDirectory } from './base-tree.ts';
import { cellLabel, ownerLabel, partLabel } from './labels.ts';
import { seccompProfile } from './seccomp-profile.ts';

/** A directory of the host that cells get to read, and where. */
export interface Bind {
  source: string;
  target: string;
}

/** What a container is made from, besides what its cell is given. */
export interface ContainerTerms {
  owner: string;
  part: string;
  image: string;
  /** Whether programs come from the host's `/usr`. */
  hostSystem: boolean;
  /** What its first process runs. */
  command: readonly string[];
  /** With the markers in it. */
  env: Readonly<Record<string, string>>;
}

type Options = Dockerode.ContainerCreateOptions;
type Mount = NonNullable<NonNullable<Options['HostConfig']>['Mounts']>[number];

/** What the engine is asked for: a container that sees, reaches and uses what the confinement says, and is gone when it ends. */
export async function containerOptions(
  spec: ProcessSpec,
  confinement: Confinement,
  terms: ContainerTerms,
): Promise<Options> {
  const { owner, part, image, command, env } = terms;
  const own = cellUser(spec.cellId);
  // A worker that is not root shares its user with its cells.
  const [uid, gid] = own === null ? [process.getuid?.(), process.getgid?.()] : [own, own];
  const profile = seccompProfile();
  return {
    Image: image,
    Entrypoint: [],
    Cmd: [...command],
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    WorkingDir: spec.directory,
    User: `${uid}:${gid}`,
    Hostname: 'cell',
    Labels: { [ownerLabel]: owner, [cellLabel]: spec.cellId, [partLabel]: part },
    Tty: false,
    // Nothing in it waits for anything more polite, so that an engine that ends need not wait either.
    StopSignal: 'SIGKILL',
    // Attached to and held open by whoever starts it: with that process it ends.
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    // An image of one's own may ask for a check of something that does not run here.
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      AutoRemove: true,
      NetworkMode: 'none',
      IpcMode: 'private',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges', ...(profile === null ? [] : [`seccomp=${profile}`])],
      // What it writes comes by the attached stream, and is bounded there.
      LogConfig: { Type: 'none', Config: {} },
      ExtraHosts: insideTargets(confinement.allow).map(({ host, address }) => `${host}:${address}`),
      // Targets keep their ports, which may be below 1024.
      Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
      ShmSize: temporaryBytes,
      Tmpfs: temporaryFiles(`uid=${uid},gid=${gid}`),
      Mounts: await mountsOf(confinement, terms.hostSystem),
      ...limitsOf(confinement.limits),
    },
  };
}

/** In memory, and counted as the cell's. The engine's own default would let nothing be run from there. */
function temporaryFiles(user: string): Record<string, string> {
  const everybody = `rw,exec,nosuid,nodev,mode=1777,size=${temporaryBytes}`;
  return {
    '/tmp': everybody,
    '/var/tmp': everybody,
    [usersDirectory]: `rw,noexec,nosuid,nodev,mode=0755,${user},size=64k`,
  };
}

async function mountsOf({ writable, readable, inlet, outlet }: Confinement, hostSystem: boolean): Promise<Mount[]> {
  const binds = [
    ...(hostSystem ? await systemBinds() : []),
    ...(inlet === null ? [] : [bind(inlet, insidePaths.inlet, false)]),
    ...(outlet === null ? [] : [bind(outlet, insidePaths.outlet, true)]),
    ...writable.map((path) => bind(path, path, false)),
    ...readable.map(({ source, target }) => bind(source, target, true)),
  ];
  // The engine refuses two of one place. Of those inside of each other it mounts the outer one first, in whatever order they are given.
  return [...new Map(binds.map((mount) => [mount.Target, mount])).values()];
}

const bind = (source: string, target: string, readOnly: boolean): Mount => ({
  Type: 'bind',
  Source: source,
  Target: target,
  ReadOnly: readOnly,
});

/** The programs of the host, and what they look for. */
async function systemBinds(): Promise<Mount[]> {
  const top = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
  const kinds = await Promise.all([...top, ...ofEtc].map((path) => lstat(path).catch(() => null)));
  const present = [...top, ...ofEtc].filter((_, index) => {
    const kind = kinds[index];
    // The image has the links that lead into `/usr`.
    return kind != null && !(kind.isSymbolicLink() && index < top.length);
  });
  return ['/usr', ...present].map((path) => bind(path, path, true));
}

function limitsOf({ memory, cpus, pids, disk }: Limits) {
  return {
    // Equal, so that there is no swap beyond it.
    ...(memory === null ? {} : { Memory: memory, MemorySwap: memory }),
    ...(cpus === null ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
    ...(pids === null ? {} : { PidsLimit: pids }),
    // Handed on to the kernel as they are: bytes.
    ...(disk === null ? {} : { Ulimits: [{ Name: 'fsize', Soft: disk, Hard: disk }] }),
  };
}
