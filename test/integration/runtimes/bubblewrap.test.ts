import { findGroupRoot } from '../../../src/runtimes/cgroup-root.ts';
import { createBubblewrapRuntime } from '../../../src/runtimes/bubblewrap.ts';
import { findLimitRoot } from '../../../src/runtimes/limit-root.ts';
import { runtimeContract } from '../../contracts/runtime.contract.ts';

const groupRoot = await findGroupRoot();
const limitRoot = await findLimitRoot(groupRoot);

runtimeContract({
  name: 'bubblewrap',
  create: (options) => createBubblewrapRuntime({ ...options, groupRoot, limitRoot }),
  unpromised: {
    leftovers: 'what a command leaves behind ends with its process namespace, before it could be counted',
    asking: 'what confines a cell ends at once, and the cell with it',
    signals: 'bubblewrap answers 128 and the number of the signal, as a shell does',
  },
});
