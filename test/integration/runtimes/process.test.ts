import { createProcessRuntime } from '../../../src/runtimes/process.ts';
import { runtimeContract } from '../../contracts/runtime.contract.ts';

runtimeContract({
  name: 'process',
  create: createProcessRuntime,
  unpromised: { confinement: 'the process runtime separates by convention and does not confine' },
});
