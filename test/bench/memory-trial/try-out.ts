import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerAddress, connectServer } from '../../../src/opencode/server.ts';
import { type BarePlace, type Changes, bootBareServer } from '../bare-server.ts';
import { type Memory, cpuOf, memoryOf, peakOf } from '../usage.ts';

/** What one server cost: seconds of processor time, its children's too; MiB of memory of the server alone. */
export interface Trial {
  /** Until it has proved to be well. */
  bootCpu: number;
  /** Until the prompt was answered. */
  cpu: number;
  /** In the fifteen seconds afterwards, in which nothing is asked of it. */
  idleCpu: number;
  idle: Memory;
  after: Memory;
  /** Five seconds after the answer. */
  later: Memory;
  /** Fifteen seconds after the answer. */
  muchLater: Memory;
  /** The most that was ever resident. */
  peak: number;
}

/** Boots a server as a cell has it but for the changes, prompts it once, and takes its figures. */
export async function tryOut(changes: Changes, place: BarePlace, signal: AbortSignal): Promise<Trial> {
  await using server = await bootBareServer(place, changes, signal);
  const { pid } = server;
  const bootCpu = await cpuSeconds(pid);
  await sleep(1_000, undefined, { signal });
  const idle = await memory(pid);
  await prompt(server.address, signal);
  const [cpu, after] = [await cpuSeconds(pid), await memory(pid)];
  await sleep(5_000, undefined, { signal });
  const later = await memory(pid);
  await sleep(10_000, undefined, { signal });
  const [idleCpu, muchLater, peak] = [(await cpuSeconds(pid)) - cpu, await memory(pid), (await peakOf(pid)) ?? 0];
  return { bootCpu, cpu, idleCpu, idle, after, later, muchLater, peak };
}

async function prompt(address: ServerAddress, signal: AbortSignal): Promise<void> {
  const client = connectServer(address);
  const session = await client.session.create({ title: 'trial' }, { signal, throwOnError: true });
  const answer = await client.session.prompt(
    { sessionID: session.data.id, parts: [{ type: 'text', text: 'Do it. [script: six-tools]' }] },
    { signal, throwOnError: true },
  );
  const { error, finish } = answer.data.info;
  if (error !== undefined || finish !== 'stop') throw new Error(`the prompt failed: ${JSON.stringify(answer.data)}`);
}

async function cpuSeconds(pid: number): Promise<number> {
  const cpu = await cpuOf(pid);
  if (cpu === null) throw new Error('the server has ended');
  return cpu.own + cpu.children;
}

async function memory(pid: number): Promise<Memory> {
  const found = await memoryOf(pid);
  if (found === null) throw new Error('the server has ended');
  return found;
}
