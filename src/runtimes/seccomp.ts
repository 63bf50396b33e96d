import { arch } from 'node:process';
import { type SystemCalls, systemCalls } from './system-calls.ts';

/** An instruction of classic BPF, as the kernel's `struct sock_filter` has it. */
type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, operand: number];

const loadWord = 0x20;
const jumpIfEqual = 0x15;
const jumpIfAtLeast = 0x35;
const jumpIfAnyBit = 0x45;
const answer = 0x06;

/** What the kernel does: `SECCOMP_RET_*`. */
const allow = 0x7fff0000;
const killProcess = 0x80000000;
const errno = (number: number): number => 0x00050000 | number;
const [EPERM, ENOSYS, EAFNOSUPPORT] = [1, 38, 97];

/** Where `struct seccomp_data` has the number of the call, the architecture, and the lower half of an argument. */
const callNumber = 0;
const architecture = 4;
const argument = (index: number): number => 16 + 8 * index;

/** `CLONE_NEW*`: time, mount, cgroup, uts, ipc, user, pid, network. */
const newNamespaces = 0x80 | 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000;
/** `AF_UNIX`, `AF_INET`, `AF_INET6`, `AF_NETLINK`. Of the others, some know no namespaces (vsock), and some were ways to root (alg). */
const families = [1, 2, 10, 16];
/** `TIOCSTI` and `TIOCLINUX` put words into the terminal of whoever reads it next. */
const terminalRequests = [0x5412, 0x541c];

/**
 * The system call filter of confined cells, as a program for `seccomp(2)`; null on a processor for which there is no table.
 *
 * It allows what programs need and takes out the parts of the kernel that they do not: other namespaces, mounts, modules, other
 * processes' memory, keys, clocks, asynchronous rings, sockets of other families. Calls of another architecture end the process.
 */
export function seccompProgram(machine: string = arch): Buffer | null {
  const calls = systemCalls(machine);
  return calls === null ? null : encode(filterOf(calls));
}

function filterOf({ audit, denied, clone, clone3, socket, ioctl, otherAbiFrom }: SystemCalls): Instruction[] {
  return [
    [loadWord, 0, 0, architecture],
    [jumpIfEqual, 1, 0, audit],
    [answer, 0, 0, killProcess],
    [loadWord, 0, 0, callNumber],
    ...(otherAbiFrom === null ? [] : when(jumpIfAtLeast, otherAbiFrom, errno(ENOSYS))),
    // Its flags lie in memory, where a filter cannot look; who gets this uses the older one.
    ...when(jumpIfEqual, clone3, errno(ENOSYS)),
    ...denied.flatMap((number) => when(jumpIfEqual, number, errno(EPERM))),
    ...ofCall(clone, 0, when(jumpIfAnyBit, newNamespaces, errno(EPERM))),
    ...ofCall(
      ioctl,
      1,
      terminalRequests.flatMap((number) => when(jumpIfEqual, number, errno(EPERM))),
    ),
    ...ofCall(socket, 0, [
      ...families.map((family, index): Instruction => [jumpIfEqual, families.length - index, 0, family]),
      [answer, 0, 0, errno(EAFNOSUPPORT)],
    ]),
    [answer, 0, 0, allow],
  ];
}

const when = (jump: number, operand: number, result: number): Instruction[] => [
  [jump, 0, 1, operand],
  [answer, 0, 0, result],
];

/** Looks at one argument of one call; whatever comes through is looked at on. */
const ofCall = (number: number, index: number, body: Instruction[]): Instruction[] => [
  [jumpIfEqual, 0, body.length + 2, number],
  [loadWord, 0, 0, argument(index)],
  ...body,
  [loadWord, 0, 0, callNumber],
];

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, whenTrue, whenFalse, operand]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(whenTrue, index * 8 + 2);
    bytes.writeUInt8(whenFalse, index * 8 + 3);
    bytes.writeUInt32LE(operand >>> 0, index * 8 + 4);
  }
  return bytes;
}
