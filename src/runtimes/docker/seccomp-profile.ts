import { arch } from 'node:process';
import { deniedCalls } from '../system-calls.ts';

/** How the engine's profiles call a processor; others have the engine's own profile. */
const architectures: Readonly<Record<string, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

/** `CLONE_NEW*`: time, mount, cgroup, uts, ipc, user, pid, network. */
const newNamespaces = [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];
/** The families between and after `AF_UNIX`, `AF_INET`, `AF_INET6` and `AF_NETLINK`, which are 1, 2, 10 and 16. */
const refusedFamilies = [0, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];
const lastFamily = 16;
/** `TIOCSTI` and `TIOCLINUX`. */
const terminalRequests = [0x5412, 0x541c];
const [EPERM, ENOSYS, EAFNOSUPPORT] = [1, 38, 97];

/**
 * The filter of system calls of containers, in the engine's form; null on a processor for which there is none, where the engine's own
 * one holds. It refuses what the filter of `bubblewrap` does: older engines let sockets through that know no namespace.
 */
export function seccompProfile(machine: string = arch): string | null {
  const architecture = architectures[machine];
  if (architecture === undefined) return null;
  const refuse = (names: readonly string[], errnoRet: number, args: object[] = []) => ({
    names,
    action: 'SCMP_ACT_ERRNO',
    errnoRet,
    args,
  });
  const masked = (index: number, mask: number, valueTwo: number) => ({
    index,
    value: mask,
    valueTwo,
    op: 'SCMP_CMP_MASKED_EQ',
  });
  return JSON.stringify({
    defaultAction: 'SCMP_ACT_ALLOW',
    // Calls of another architecture, the 32-bit one of this processor too, end the process.
    architectures: [architecture],
    syscalls: [
      refuse(deniedCalls, EPERM),
      // Its flags lie in memory, where a filter cannot look; who gets this uses the older one.
      refuse(['clone3'], ENOSYS),
      ...newNamespaces.map((flag) => refuse(['clone'], EPERM, [masked(0, flag, flag)])),
      ...terminalRequests.map((request) => refuse(['ioctl'], EPERM, [masked(1, 0xffffffff, request)])),
      ...refusedFamilies.map((family) =>
        refuse(['socket'], EAFNOSUPPORT, [{ index: 0, value: family, op: 'SCMP_CMP_EQ' }]),
      ),
      refuse(['socket'], EAFNOSUPPORT, [{ index: 0, value: lastFamily, op: 'SCMP_CMP_GT' }]),
    ],
  });
}
