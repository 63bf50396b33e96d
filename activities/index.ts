import type { CellHost } from '../src/cell/host.ts';
import { createClaimHost } from './claim-host.ts';
import { createCommitWork } from './commit-work.ts';
import type { ClaimActivities, HostActivities } from './contract.ts';
import { createExecutePrompt } from './execute-prompt.ts';
import { createExtendBudget } from './extend-budget.ts';
import { untilFaulty } from './faults.ts';
import { createPromptAgent } from './prompt-agent.ts';
import { createReviveCell } from './revive-cell.ts';
import { createRevertWork } from './revert-work.ts';
import { createRunTests } from './run-tests.ts';
import { createSpawnCell } from './spawn-cell.ts';
import { createTeardownCell } from './teardown-cell.ts';

/** What a host with room serves on the claim queue. `refuse` answers why a claim cannot be had just now, or null; none is refused unless told. */
export function createClaimActivities(host: CellHost, refuse = hasRoom): ClaimActivities {
  return { claimHost: untilFaulty(createClaimHost(host, refuse)) };
}

/** What a host serves on its own queue, for the cells that live there. */
export function createHostActivities(host: CellHost): HostActivities {
  return {
    spawnCell: untilFaulty(createSpawnCell(host)),
    reviveCell: untilFaulty(createReviveCell(host)),
    executePrompt: untilFaulty(createExecutePrompt(host)),
    runTests: untilFaulty(createRunTests(host)),
    commitWork: untilFaulty(createCommitWork(host)),
    revertWork: untilFaulty(createRevertWork(host)),
    teardownCell: untilFaulty(createTeardownCell(host)),
    promptAgent: createPromptAgent(host),
    extendBudget: createExtendBudget(host),
  };
}

const hasRoom = (): Promise<string | null> => Promise.resolve(null);
