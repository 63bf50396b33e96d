import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { enterGroup } from '../../src/runtimes/cgroup.ts';
import { connectEngine, type Engine } from '../../src/runtimes/docker/client.ts';
import { isRunning, runningProcesses } from './processes.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** A Docker engine of its own, with nothing in it: what belongs to the host's engine, if it has one, is not touched. */
export interface DockerEngine extends AsyncDisposable {
  socket: string;
  /** As `DOCKER_HOST` names it. */
  host: string;
  engine: Engine;
  /** Ends it without any notice, with all that it started, as a crash of the machine's engine does. */
  kill(): Promise<void>;
  /** Ends the daemon alone without any notice: its containers live on. */
  crash(): Promise<void>;
  /** Lets the daemon answer nothing until the result is disposed of. */
  hang(): Disposable;
  /** Starts it again on what it had. */
  restart(): Promise<void>;
}

/** How long it may take to come up, milliseconds: seconds on a machine that is busy. */
const startLimit = 60_000;

/** Where the kernel counts an engine, in a hierarchy of control groups of version 2. */
export interface EngineGroups {
  /** The directory of the group that it joins, with all that it starts but the containers. */
  engine: string;
  /** The path in the hierarchy of the group in which it makes those of its containers. */
  parentOfContainers: string;
}

/** Starts `dockerd` without a bridge and without a word to the host's firewall. It takes root. */
export async function startDockerEngine(groups: EngineGroups | null = null): Promise<DockerEngine> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const at = (name: string) => join(directory.path, name);
  const socket = at('docker.sock');
  const engine = await connectEngine(`unix://${socket}`);
  stack.defer(() => unmountAllIn(directory.path));

  const start = async () => {
    await using log = await open(at('dockerd.log'), 'a');
    const words = ['--bridge', 'none', '--iptables=false', '--ip-forward=false', '--ip-masq=false'];
    const places = [
      ['--data-root', at('data')],
      ['--exec-root', at('exec')],
      ['--pidfile', at('docker.pid')],
      ['--host', `unix://${socket}`],
    ];
    // The other driver takes names of systemd alone.
    const counted =
      groups === null
        ? []
        : ['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', groups.parentOfContainers];
    const command: [string, ...string[]] = ['dockerd', ...words, ...places.flat(), ...counted];
    const [program, ...rest] = groups === null ? command : enterGroup(groups.engine, command, {});
    const daemon = spawn(program, rest, {
      stdio: ['ignore', log.fd, log.fd],
      // In a session of its own: a Ctrl-C at the tests is for the tests to obey.
      detached: true,
    });
    const answers = () =>
      engine.ping().then(
        () => true,
        () => false,
      );
    const ended = () => daemon.exitCode !== null || daemon.signalCode !== null;
    await waitFor(async () => ended() || (await answers()), { interval: 100, timeout: startLimit });
    if (ended()) throw new Error(`dockerd did not start:\n${(await readFile(at('dockerd.log'), 'utf8')).slice(-4000)}`);
    return daemon;
  };

  let daemon = await start();
  const endDaemon = async (signal: NodeJS.Signals) => {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return;
    const exit = once(daemon, 'exit');
    daemon.kill(signal);
    await exit;
  };
  const end = async (signal: NodeJS.Signals) => {
    await endDaemon(signal);
    // What names the directory on its command line: containerd, which is its child, and the shims, which are nobody's.
    await endAllOf(directory.path);
  };
  stack.defer(() => end('SIGTERM'));
  // Its bridges are devices of the host, and outlive it.
  stack.defer(() => removeNetworks(engine).catch(() => undefined));
  const owned = stack.move();
  return {
    socket,
    host: `unix://${socket}`,
    engine,
    kill: () => end('SIGKILL'),
    crash: () => endDaemon('SIGKILL'),
    hang() {
      daemon.kill('SIGSTOP');
      return { [Symbol.dispose]: () => void daemon.kill('SIGCONT') };
    },
    async restart() {
      await end('SIGTERM');
      daemon = await start();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function removeNetworks(engine: Engine): Promise<void> {
  for (const { Id, Name, Containers } of await engine.listNetworks()) {
    if (['bridge', 'host', 'none'].includes(Name)) continue;
    const network = engine.getNetwork(Id);
    const inside = Object.keys(Containers ?? (await network.inspect()).Containers ?? {});
    for (const id of inside) await engine.getContainer(id).remove({ force: true });
    await network.remove();
  }
}

async function endAllOf(directory: string): Promise<void> {
  const ours = async () => (await runningProcesses()).filter(({ command }) => command.includes(`${directory}/`));
  await waitFor(
    async () => {
      const left = await ours();
      for (const { pid } of left) if (await isRunning(pid)) process.kill(pid, 'SIGKILL');
      return left.length === 0;
    },
    { interval: 50, timeout: 20_000 },
  );
}

/** Containers that were killed with their engine leave their mounts. */
async function unmountAllIn(directory: string): Promise<void> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const mounted = lines.map((line) => line.split(' ')[4] ?? '').filter((path) => path.startsWith(`${directory}/`));
  // The last one lies over the others.
  for (const path of mounted.toReversed()) await execa('umount', ['--lazy', path], { reject: false });
}
