/** Numbers of system calls of one architecture, as the kernel's tables have them. */
export interface SystemCalls {
  /** `AUDIT_ARCH_*`. */
  audit: number;
  /** From this number on, calls are of another ABI of the same architecture; null where there is none. */
  otherAbiFrom: number | null;
  clone: number;
  clone3: number;
  socket: number;
  ioctl: number;
  denied: readonly number[];
}

/** Name: number on x86-64, number on arm64; null where it is not there. */
const denied: Readonly<Record<string, readonly [number | null, number | null]>> = {
  acct: [163, 89],
  add_key: [248, 217],
  adjtimex: [159, 171],
  bpf: [321, 280],
  chroot: [161, 51],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  delete_module: [176, 106],
  fanotify_init: [300, 262],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  init_module: [175, 105],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioperm: [173, null],
  iopl: [172, null],
  kcmp: [312, 272],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  lookup_dcookie: [212, 18],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  name_to_handle_at: [303, 264],
  nfsservctl: [180, 42],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  perf_event_open: [298, 241],
  pidfd_getfd: [438, 438],
  pivot_root: [155, 41],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  request_key: [249, 218],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  userfaultfd: [323, 282],
  vhangup: [153, 58],
};

/** The names of what confined cells may not call. */
export const deniedCalls: readonly string[] = Object.keys(denied);

const deniedOn = (column: 0 | 1): number[] => Object.values(denied).flatMap((numbers) => numbers[column] ?? []);

/** @param machine as `process.arch` has it */
export function systemCalls(machine: string): SystemCalls | null {
  switch (machine) {
    case 'x64':
      return {
        audit: 0xc000003e,
        otherAbiFrom: 0x40000000,
        clone: 56,
        clone3: 435,
        socket: 41,
        ioctl: 16,
        denied: deniedOn(0),
      };
    case 'arm64':
      return {
        audit: 0xc00000b7,
        otherAbiFrom: null,
        clone: 220,
        clone3: 435,
        socket: 198,
        ioctl: 29,
        denied: deniedOn(1),
      };
    default:
      return null;
  }
}
