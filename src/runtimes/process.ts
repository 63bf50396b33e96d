import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { GroupRoot } from './cgroup-root.ts';
import { createDetachedRuntime, type DetachedOptions, noGroups } from './detached.ts';
import { launchPlain } from './launch.ts';
import { scanProcesses } from './processes.ts';
import type { CellRuntime, Probe } from './runtime.ts';

/** Cells as plain processes of the worker's user: what a cell keeps to, it keeps to by convention. */
export function createProcessRuntime(options: DetachedOptions): CellRuntime {
  return createDetachedRuntime(
    {
      name: 'process',
      confines: false,
      unsupported: {
        resources: 'the process runtime cannot limit the memory, the processors or the number of processes of a cell',
        network: 'in the process runtime a cell has the network of its host',
      },
      probe: () => probe(options.groupRoot ?? noGroups),
      launch: (spec) => Promise.resolve(launchPlain(spec)),
      target: (_cellId, port) => Promise.resolve({ port }),
    },
    options,
  );
}

async function probe(groups: GroupRoot): Promise<Probe> {
  const instead = 'run the worker on Linux, or in a Linux container or virtual machine';
  if (process.platform !== 'linux') {
    return { usable: false, why: `it finds processes in /proc, which ${process.platform} does not have`, try: instead };
  }
  const self = (await scanProcesses()).find((entry) => entry.pid === process.pid);
  if (self === undefined)
    return { usable: false, why: '/proc is not mounted', try: 'mount a proc file system at /proc' };
  const hasPipes = await promisify(execFile)('mkfifo', ['--help']).then(
    () => true,
    () => false,
  );
  if (!hasPipes) return { usable: false, why: 'there is no mkfifo on the PATH', try: 'install coreutils' };
  return {
    usable: true,
    notes: [
      'separates cells by convention and does not confine them: a cell can read, write and reach whatever the user of the worker can',
      groups.root === null
        ? `processes are found by the markers in their environment alone (${groups.why}): a program that sheds them and leaves its parent is not found`
        : `processes are found by control group (cgroup v2, in ${groups.root}) and by the markers in their environment`,
    ],
  };
}
