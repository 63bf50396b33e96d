import { abortCell, cancelCell } from '../../../src/client.ts';
import { atEachStep, type Fault, type Pair, type Verdict } from '../pair.ts';

const over: readonly Pair['step'][] = ['teardown'];

/** What its caller, or an operator, does to a cell while it is at a step. */
export const messageFaults: readonly Fault[] = [
  {
    name: 'cancellation',
    pairs: atEachStep('cancellation', (step) => ({
      verdicts: endedBy(step, 'Cancelled'),
      strike: async ({ handle }, { fleet }) => void (await cancelCell(fleet.client, handle.workflowId)),
    })),
  },
  {
    name: 'abort signal',
    pairs: atEachStep('abort signal', (step) => ({
      verdicts: endedBy(step, 'reverted'),
      strike: ({ handle }, { fleet }) => abortCell(fleet.client, handle.workflowId, 'enough'),
    })),
  },
  {
    name: 'termination',
    pairs: atEachStep('termination', () => ({
      verdicts: ['Terminated'],
      reaped: true,
      async strike({ handle }, { fleet }) {
        await fleet.client.workflow.getHandle(handle.workflowId, handle.runId).terminate('no cleanup runs');
      },
    })),
  },
];

/** A commit that is under way is made, or is not: either is told truly. What comes after a verdict changes nothing. */
function endedBy(step: Pair['step'], verdict: Verdict): Verdict[] {
  if (over.includes(step)) return ['committed'];
  if (step === 'revert') return ['reverted'];
  return step === 'commit' ? ['committed', verdict] : [verdict];
}
