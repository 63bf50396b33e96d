import { confinedServerPort, modelPort, modelSocketName, type Confinement } from './runtime.ts';

/** Where a confined process finds the directories of its sockets. The path of a socket has little room, and host paths are long. */
export const insidePaths = { inlet: '/run/cell/in', outlet: '/run/cell/out' } as const;

/** The name of the socket in the inlet by which the server inside is reached. */
export const serverSocketName = 'server.sock';

/** The name of the socket in the outlet that leads to the target of this number. */
export const allowSocketName = (index: number): string => `${index}.sock`;

/** A place on the loopback inside that leads to a target outside. */
export interface InsideTarget {
  host: string;
  port: number;
  /** On which address of loopback it is found inside. */
  address: string;
}

/**
 * Where a confined process finds each target: an address of loopback for each name, which `hostsFile` tells by that name.
 * `localhost` and addresses of loopback stay what they are.
 */
export function insideTargets(allow: readonly string[]): InsideTarget[] {
  const names = new Map<string, string>();
  return allow.map((target) => {
    const [host = '', port = ''] = target.split(':');
    const known = names.get(host) ?? (isLoopback(host) ? loopbackOf(host) : `127.0.1.${names.size + 1}`);
    names.set(host, known);
    return { host, port: Number(port), address: known };
  });
}

/** Why a target cannot be led to from inside; null when it can. */
export function whyNotLedTo(target: string): string | null {
  const [host = ''] = target.split(':');
  if (/^[\d.]+$/.test(host) && !isLoopback(host))
    return `${target}: name the host, and not its address, for inside of the cell only names can be led elsewhere`;
  return null;
}

/** The text of `/etc/hosts` inside. */
export function hostsFile(allow: readonly string[]): string {
  const names = new Map(insideTargets(allow).map(({ host, address }) => [host, address]));
  const lines = [...names].filter(([host]) => !isLoopback(host)).map(([host, address]) => `${address} ${host}`);
  return ['127.0.0.1 localhost', '::1 localhost', ...lines, ''].join('\n');
}

/**
 * The command that, inside of a sandbox, opens the ways in and out, and then becomes the other command. The relays are processes
 * of the sandbox and end with it; a cell that ends them cuts itself off.
 *
 * @param env what the command is to find: a variable that the sandbox adds is taken out
 */
export function inCell(
  command: readonly [string, ...string[]],
  { inlet, outlet, model, allow }: Confinement,
  env: Readonly<Record<string, string>>,
): [string, ...string[]] {
  const way = (address: string, port: number, socket: string): Relay => ({
    from: `TCP4-LISTEN:${port},bind=${address},reuseaddr,fork`,
    to: `UNIX-CONNECT:${insidePaths.outlet}/${socket}`,
    ready: `grep -q ':${hex(port)} 00000000:0000 0A' /proc/net/tcp`,
  });
  const relays: Relay[] = [
    ...(inlet === null ? [] : [serverRelay]),
    ...(outlet === null || !model ? [] : [way('127.0.0.1', modelPort, modelSocketName)]),
    ...insideTargets(allow).map(({ address, port }, index) => way(address, port, allowSocketName(index))),
  ];
  // Without an output of the command's: nobody waits for a relay at the end of it.
  const started = relays.map(({ from, to }) => `socat -t ${halfOpenSeconds} ${from} ${to} >/dev/null 2>&1 &`);
  const awaited = relays.map(
    ({ ready }) => `tries=0; until ${ready} || [ $((tries += 1)) -gt ${mostTries} ]; do sleep 0.01; done`,
  );
  const added = ['PWD', 'OLDPWD'].filter((name) => !(name in env));
  const clean = added.length === 0 ? [] : [`unset ${added.join(' ')}`];
  return ['/bin/sh', '-c', [...started, ...awaited, ...clean, 'exec "$@"'].join('\n'), 'cell', ...command];
}

/** From where to where a relay leads, and the shell's test of whether it listens. */
interface Relay {
  from: string;
  to: string;
  ready: string;
}

const serverRelay: Relay = {
  from: `UNIX-LISTEN:${insidePaths.inlet}/${serverSocketName},fork`,
  to: `TCP4:127.0.0.1:${confinedServerPort}`,
  ready: `[ -S ${insidePaths.inlet}/${serverSocketName} ]`,
};

/** How long one side may go on when the other has said all that it has to say; by itself socat gives it half a second. */
const halfOpenSeconds = 3600;
/** As `/proc/net/tcp` has it. */
const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
/** How often it is asked whether a relay listens, which takes a few milliseconds. Later than that the command has to see for itself. */
const mostTries = 500;

const isLoopback = (host: string): boolean => host === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(host);
const loopbackOf = (host: string): string => (host === 'localhost' ? '127.0.0.1' : host);
