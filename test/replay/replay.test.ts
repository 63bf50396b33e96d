import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultPayloadConverter } from '@temporalio/common';
import { type History, historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, type ReplayError, Runtime, Worker, bundleWorkflowCode } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { pathNames, paths } from './paths.ts';

const directory = join(import.meta.dirname, 'histories');
const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

/** Temporal warns at 4,096 events and ends a workflow at 51,200; what a cell writes is also what its host has to read after a restart. */
const eventsOfACell = 75;
/** A server that is replaced on the way takes so many more. */
const eventsOfAReplacement = 10;

describe('a workflow that was recorded', () => {
  const errors = new Map<string, ReplayError | undefined>();

  beforeAll(async () => {
    const logger = new DefaultLogger('ERROR');
    Runtime.install({ logger });
    const workflowBundle = await bundleWorkflowCode({ workflowsPath, logger });
    const histories = await Promise.all(
      pathNames.map(async (path) => ({ workflowId: path, history: await readHistory(path) })),
    );
    for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
      errors.set(workflowId, error);
    }
  });

  test.each(pathNames)('goes the same way again: %s', (path) => {
    expect(errors.has(path)).toBe(true);
    expect(errors.get(path)).toBeUndefined();
  });
});

describe('the recorded histories', () => {
  test('are those of the known paths', async () => {
    expect((await readdir(directory)).toSorted()).toEqual(pathNames.map((path) => `${path}.json`).toSorted());
  });

  test.each(pathNames)('close as their name says: %s', async (path) => {
    expect(endingOf(await readHistory(path))).toBe(paths[path]);
  });

  test('are short', async () => {
    const lengths = await Promise.all(
      pathNames.map(async (path) => {
        const events = (await readHistory(path)).events ?? [];
        const isReplacement = ({ activityTaskScheduledEventAttributes: scheduled }: (typeof events)[number]) =>
          scheduled?.activityType?.name === 'reviveCell';
        const most = eventsOfACell + eventsOfAReplacement * events.filter(isReplacement).length;
        return [path, events.length, most] as const;
      }),
    );
    console.log(lengths.map(([path, length]) => `${path}: ${length} events`).join('\n'));
    expect(lengths.filter(([, length, most]) => length > most)).toEqual([]);
  });

  test.each(pathNames)('tell nothing of the machine that they were recorded on: %s', async (path) => {
    const text = await readFile(fileOf(path), 'utf8');
    const payloads = [...text.matchAll(/"data": "([^"]+)"/g)].map(([, data = '']) => fromBase64(data));
    const paths = [text, ...payloads].flatMap((part) => part.match(/\/(home|root|Users|work|var|tmp)\/[\w.-]+/g) ?? []);
    expect(new Set(paths)).toEqual(new Set(paths.length === 0 ? [] : ['/tmp/agent-cells']));
  });
});

const fileOf = (path: string): string => join(directory, `${path}.json`);

const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString('utf8');

async function readHistory(path: string): Promise<History> {
  return historyFromJSON(JSON.parse(await readFile(fileOf(path), 'utf8')));
}

/** In the words of the table of paths. */
function endingOf(history: History): string {
  const last = history.events?.at(-1);
  if (last?.workflowExecutionCanceledEventAttributes) return 'cancelled';
  const failure = last?.workflowExecutionFailedEventAttributes?.failure?.applicationFailureInfo;
  if (failure) return failure.type ?? '';
  const payload = last?.workflowExecutionCompletedEventAttributes?.result?.payloads?.[0];
  return payload ? defaultPayloadConverter.fromPayload<{ status: string }>(payload).status : 'open';
}
