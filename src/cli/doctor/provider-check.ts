import * as v from 'valibot';
import type { Config } from '../../config.ts';
import { ok, warning, type Finding } from './check.ts';

const health = v.object({
  outages: v.array(
    v.object({
      model: v.string(),
      outage: v.object({ since: v.number(), reason: v.string(), nextTryAt: v.number() }),
      waiting: v.number(),
    }),
  ),
});

/** Which models the worker of this host holds prompts back from. Only the worker knows: it is asked at its `/healthz`. */
export async function providers({ metricsAddress: { host, port } }: Config): Promise<Finding> {
  const url = `http://${host}:${port}/healthz`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
    (response) => response.json(),
    () => null,
  );
  const parsed = v.safeParse(health, answer);
  if (!parsed.success) return ok(`no worker answers at ${url}: what it holds back is not known`);
  const { outages } = parsed.output;
  if (outages.length === 0) return ok('no prompts are held back');
  const each = outages.map(
    ({ model, outage, waiting }) =>
      `${model} since ${timeOf(outage.since)}, ${waiting} ${waiting === 1 ? 'prompt waits' : 'prompts wait'}, next try ${timeOf(outage.nextTryAt)} (${outage.reason})`,
  );
  return warning(`held back: ${each.join('; ')}`, 'check the key, the quota and the status of the provider');
}

/** A provider may name any time; a date has an end. */
const timeOf = (at: number): string => new Date(Math.min(at, 8.64e15)).toISOString();
