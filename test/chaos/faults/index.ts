import type { Fault } from '../pair.ts';
import { lostHostFaults } from './lost-host.ts';
import { hostFaults } from './worker.ts';
import { machineFaults } from './machine.ts';
import { messageFaults } from './messages.ts';
import { repositoryFaults } from './repository.ts';
import { serverFaults } from './server.ts';
import { agentFaults, modelFaults, testFaults } from './work.ts';

/** Every fault, in the order in which a run tries them. */
export const faults: readonly Fault[] = [
  ...hostFaults,
  ...serverFaults,
  ...messageFaults,
  ...repositoryFaults,
  ...modelFaults,
  ...testFaults,
  ...agentFaults,
  ...machineFaults,
  ...lostHostFaults,
];
