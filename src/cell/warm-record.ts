import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import * as v from 'valibot';
import { isolations } from '../domain/request.ts';
import type { IsolationName } from '../domain/request.ts';
import { replaceFile } from '../files/replace-file.ts';
import type { RuntimeHandle } from '../runtimes/runtime.ts';
import { codeOf, createFile } from './create-file.ts';
import { handleSchema } from './lease.ts';
import { hostPaths, isCellId, warmPaths } from './paths.ts';
import { adoptedFile } from './server-place.ts';

/** A server that was booted ahead, as the disk knows it. The record is written before anything is made. */
export interface WarmServer {
  version: 2;
  /** Has the form of a cell's id, and stands in its place in the markers of its processes. */
  id: string;
  runtime: IsolationName;
  /** What it was started with, as a hash: another host configuration, or another version, cannot use it. */
  profile: string;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** Null while it boots. The port is held for it, and leads to it. */
  ready: { server: RuntimeHandle; port: number; opencode: string } | null;
}

/** What lies under `warm`: records, null where one cannot be read, and directories. A directory without a record is adopted, or nobody's. */
export interface WarmList {
  records: { id: string; record: WarmServer | null }[];
  directories: string[];
}

export async function writeWarm(stateDirectory: string, record: WarmServer): Promise<void> {
  const { warm } = hostPaths(stateDirectory);
  const { record: file } = warmPaths(stateDirectory, record.id);
  const text = `${JSON.stringify(record, null, 2)}\n`;
  if (record.ready) return await replaceFile(file, text, { mode: 0o600, sync: false });
  await mkdir(warm, { recursive: true, mode: 0o700 });
  await createFile(file, text);
}

export async function listWarm(stateDirectory: string): Promise<WarmList> {
  // Directories first: what is made after this look has its record by the next.
  const directories = (await namesOf(stateDirectory)).filter(isCellId);
  const files = (await namesOf(stateDirectory)).filter((name) => /^[0-9a-f]{16}\.json$/.test(name));
  const records: WarmList['records'] = [];
  for (const name of files) {
    const id = name.slice(0, 16);
    const text = await readFile(warmPaths(stateDirectory, id).record, 'utf8').catch(nullIfGone);
    if (text === null) continue;
    const parsed = v.safeParse(recordFile, text);
    records.push({ id, record: parsed.success && parsed.output.id === id ? parsed.output : null });
  }
  return { records, directories };
}

/** The ids of the servers that wait for a cell, or boot for that. */
export async function waitingWarm(stateDirectory: string): Promise<string[]> {
  return (await listWarm(stateDirectory)).records.map(({ id }) => id);
}

/**
 * Makes a warm server the cell's own: of many who try, one succeeds. From here on it belongs to the cell, whoever dies.
 *
 * @returns false when it is another's by now, or was ended
 */
export async function claimWarm(stateDirectory: string, id: string, cellId: string): Promise<boolean> {
  return await rename(warmPaths(stateDirectory, id).record, adoptedFile(stateDirectory, cellId, id)).then(
    () => true,
    (error: unknown) => nullIfGone(error) !== null,
  );
}

/** Takes a record away: from here on no cell can adopt the server. Answers whether there was one. */
export async function dropWarm(stateDirectory: string, id: string): Promise<boolean> {
  return await rm(warmPaths(stateDirectory, id).record).then(
    () => true,
    (error: unknown) => nullIfGone(error) !== null,
  );
}

const namesOf = (stateDirectory: string): Promise<string[]> =>
  readdir(hostPaths(stateDirectory).warm).catch((error: unknown) => nullIfGone(error) ?? []);

function nullIfGone(error: unknown): null {
  if (codeOf(error) === 'ENOENT') return null;
  throw error;
}

const recordSchema: v.GenericSchema<unknown, WarmServer> = v.strictObject({
  version: v.literal(2),
  id: v.pipe(v.string(), v.check(isCellId)),
  runtime: v.picklist(isolations),
  profile: v.string(),
  createdAt: v.number(),
  ready: v.nullable(
    v.strictObject({
      server: handleSchema,
      port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
      opencode: v.string(),
    }),
  ),
});

const recordFile = v.pipe(v.string(), v.parseJson(), recordSchema);
