import type { CellHost } from '../src/cell/host.ts';
import { createClaimHost } from './claim-host.ts';
import { createCommitWork } from './commit-work.ts';
import type { ClaimActivities, HostActivities } from './contract.ts';
import { createExecutePrompt } from './execute-prompt.ts';
import { createExtendBudget } from './extend-budget.ts';
import { createPromptAgent } from './prompt-agent.ts';
import { createReviveCell } from './revive-cell.ts';
import { createRevertWork } from './revert-work.ts';
import { createRunTests } from './run-tests.ts';
import { createSpawnCell } from './spawn-cell.ts';
import { createTeardownCell } from './teardown-cell.ts';

/** What a host with room serves on the claim queue. */
export function createClaimActivities(host: CellHost): ClaimActivities {
  return { claimHost: createClaimHost(host) };
}

/** What a host serves on its own queue, for the cells that live there. */
export function createHostActivities(host: CellHost): HostActivities {
  return {
    spawnCell: createSpawnCell(host),
    reviveCell: createReviveCell(host),
    executePrompt: createExecutePrompt(host),
    runTests: createRunTests(host),
    commitWork: createCommitWork(host),
    revertWork: createRevertWork(host),
    teardownCell: createTeardownCell(host),
    promptAgent: createPromptAgent(host),
    extendBudget: createExtendBudget(host),
  };
}
