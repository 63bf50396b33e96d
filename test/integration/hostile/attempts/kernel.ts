import type { Attempt } from '../attempt.ts';

const through = 'agent';
const asRoot = 'a worker that is root has agents that are';
const filtered = 'no capability, and the filter of system calls';

/** By number, on x64 and arm64. */
const call = (x64: number, arm64: number, rest: string): string =>
  `perl -e 'my $n = \`uname -m\` =~ /x86/ ? ${x64} : ${arm64}; my $r = syscall($n, ${rest}); print "$r $!\\n"; exit($r == -1 ? 1 : 0)'`;

export const kernel: readonly Attempt[] = [
  {
    name: 'signal-worker',
    tries: 'send the worker a signal',
    through,
    script: `kill -0 "$WORKER"`,
    process: ['succeeds', 'the cell is the same user'],
    confined: 'it sees its own processes alone',
  },
  {
    name: 'signal-supervisor',
    tries: 'send the supervisor a signal',
    through,
    script: `kill -0 "$SUPERVISOR"`,
    process: ['succeeds', 'the cell is the same user'],
    confined: 'it sees its own processes alone',
  },
  {
    name: 'trace-worker',
    tries: 'attach to the worker with ptrace',
    through,
    // PTRACE_SEIZE: the worker is not stopped by it.
    script: call(101, 117, '0x4206, $ENV{WORKER} + 0, 0, 0'),
    process: ['succeeds', 'the cell is the same user'],
    confined: 'it sees its own processes alone, and the filter of system calls',
  },
  {
    name: 'mount',
    tries: 'mount a file system',
    through,
    script: `mkdir -p mounted && mount -t tmpfs none mounted && umount mounted`,
    process: ['succeeds', asRoot],
    confined: filtered,
  },
  {
    name: 'user-namespace',
    tries: 'make a user namespace, and be root in it',
    through,
    script: `unshare --user --map-root-user true`,
    process: ['succeeds', 'nothing forbids it'],
    confined: 'the filter of system calls',
  },
  {
    name: 'change-root',
    tries: 'change the root directory',
    through,
    script: `chroot / true`,
    process: ['succeeds', asRoot],
    confined: 'no capability',
  },
  {
    name: 'make-device',
    tries: 'make a device of a disk',
    through,
    script: `mknod ./disk b 7 0 && rm ./disk`,
    process: ['succeeds', asRoot],
    confined: 'no capability',
  },
  {
    name: 'setuid-program',
    tries: 'become root by a setuid program',
    through,
    script: `[ "$(id -u)" = 0 ] || grep -q '^NoNewPrivs:.*0$' /proc/self/status`,
    process: ['succeeds', asRoot],
    confined: 'programs gain nothing by it (no-new-privileges)',
  },
  {
    name: 'capabilities',
    tries: 'use a capability',
    through,
    script: `grep -q '^CapEff:.*[1-9a-f]' /proc/self/status`,
    process: ['succeeds', asRoot],
    confined: 'it has none',
  },
  {
    name: 'kernel-settings',
    tries: 'change which program the kernel starts when one crashes',
    through,
    script: `f=/proc/sys/kernel/core_pattern; old=$(cat $f) && printf %s "$old" > $f`,
    process: ['succeeds', asRoot],
    confined: 'it is read-only, and not the cell’s',
  },
  {
    name: 'leave-control-group',
    tries: 'leave the control group that limits it',
    through,
    script: `for f in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/memory/cgroup.procs; do (echo $BASHPID > $f) && exit 0; done; exit 1`,
    process: ['depends', 'on what the kernel has, and nothing of ours forbids it'],
    confined: 'there are no control groups to be seen',
  },
  {
    name: 'keyring',
    tries: 'use the kernel’s keys (`keyctl`)',
    through,
    script: call(250, 219, '0, -3, 0'),
    process: ['depends', 'on what the kernel has, and nothing of ours forbids it'],
    confined: 'the filter of system calls',
  },
  {
    name: 'asynchronous-ring',
    tries: 'set up a ring of `io_uring`',
    through,
    // With a structure that is good: another one would be refused by any kernel.
    script: `perl -e 'my $p = "\\0" x 120; my $r = syscall(425, 4, $p); print "$r $!\\n"; exit($r == -1 ? 1 : 0)'`,
    process: ['depends', 'on what the kernel has, and nothing of ours forbids it'],
    confined: 'the filter of system calls',
  },
  {
    name: 'socket-vsock',
    tries: 'open a socket to the hypervisor (vsock)',
    through,
    script: `perl -e 'exit(socket(my $s, 40, 1, 0) ? 0 : 1)'`,
    process: ['depends', 'on what the kernel has, and nothing of ours forbids it'],
    confined: 'the filter of system calls',
  },
  {
    name: 'socket-alg',
    tries: 'open a socket to the kernel’s cryptography (alg)',
    through,
    script: `perl -e 'exit(socket(my $s, 38, 5, 0) ? 0 : 1)'`,
    process: ['depends', 'on what the kernel has, and nothing of ours forbids it'],
    confined: 'the filter of system calls',
  },
];
