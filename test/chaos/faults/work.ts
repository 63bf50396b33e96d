import type { CellRequest } from '../../../src/client.ts';
import type { Fault, Pair } from '../pair.ts';

const passing = 'cat answer.txt; grep -q right answer.txt';

const tests = (name: string, testCommand: string, more: Partial<CellRequest> = {}, verdict = 'committed'): Fault => ({
  name,
  pairs: [
    {
      fault: name,
      step: 'test',
      moment: 'free',
      request: { testCommand, maxRepairs: 0, ...more },
      verdicts: [verdict],
    },
  ],
});

const model = (name: string, script: string, verdict: string, more: Partial<Pair> = {}): Fault => ({
  name,
  pairs: [{ fault: name, step: 'execute', moment: 'free', script, verdicts: [verdict], ...more }],
});

/** What a test command may be up to. */
export const testFaults: readonly Fault[] = [
  tests('tests never end', 'trap "" TERM; while :; do sleep 1; done', { testTimeout: '5s' }, 'reverted'),
  tests('tests print a gigabyte', `head -c 1000000000 /dev/zero | tr '\\0' x; ${passing}`),
  tests(
    'tests fork without end',
    `bomb() { sleep 600 & [ "$1" -gt 0 ] && bomb $(($1 - 1)) & }; bomb 200; sleep 1; ${passing}`,
  ),
  tests('tests daemonise', `setsid sh -c 'trap "" TERM HUP; sleep 600; :' < /dev/null > /dev/null 2>&1 & ${passing}`),
  tests('tests end the process that they run in', `(setsid sh -c "kill -KILL $$") ; sleep 60`, {}, 'reverted'),
  tests('tests delete .git', `rm -rf .git; ${passing}`),
  tests('tests rewrite what they test', `${passing} && echo wrong > answer.txt && rm more.txt`),
];

/** What an agent may be up to. */
export const agentFaults: readonly Fault[] = [model('agent daemonises', 'daemonises', 'committed')];

/** What a provider may answer. */
export const modelFaults: readonly Fault[] = [
  model('model answers 401', 'model-401', 'ModelUnavailable'),
  model('model answers 429 with retry-after', 'model-429-once', 'committed'),
  model('model answers 500 twice', 'model-500-twice', 'committed'),
  model('model answers garbage', 'model-garbage', 'ModelUnavailable'),
  model('model cuts its stream', 'model-cut-once', 'committed'),
  { ...model('model is silent', 'model-silent', 'AgentFailed'), setting: 'impatient' },
];
