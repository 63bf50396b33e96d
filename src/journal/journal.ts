import { type FileHandle, appendFile, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import * as v from 'valibot';

/** What every line says of itself. */
export interface Line {
  /** Milliseconds since the epoch. */
  at: number;
}

/** How much is kept. */
export interface Bounds {
  /** A file that has grown beyond it is set aside, bytes. */
  segmentBytes: number;
  /** How many files are kept that were set aside. */
  segments: number;
}

/** JSON lines in a file that several processes append to at once; what is older is in files beside it. */
export interface Journal<Entry extends Line> {
  /** Writes whole lines, after those of earlier calls. The file has mode 600. */
  append(entries: readonly Entry[]): Promise<void>;
  /** Removes what is older than this, milliseconds, give or take a quarter of it. */
  expire(maximumAgeMs: number): Promise<void>;
}

export function openJournal<Entry extends Line>(file: string, bounds: Bounds): Journal<Entry> {
  let last: Promise<void> = Promise.resolve();
  const write = async (entries: readonly Entry[]): Promise<void> => {
    if ((await sizeOf(file)) > bounds.segmentBytes) await setAside(file, bounds.segments);
    // A process that died, or a full disk, may have left a line without its end: what follows would be lost with it.
    const begin = (await isCutOff(file)) ? '\n' : '';
    await appendFile(file, begin + entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''), { mode: 0o600 });
  };
  return {
    append(entries) {
      if (entries.length === 0) return last;
      const written = last.then(() => write(entries));
      last = written.catch(() => undefined);
      return written;
    },
    async expire(maximumAgeMs) {
      const now = Date.now();
      for (const old of await segmentsOf(file)) {
        const found = await stat(old).catch(() => null);
        if (found !== null && now - found.mtimeMs > maximumAgeMs) await rm(old, { force: true });
      }
      const [first] = await readEntries(file, lineSchema, 0);
      if (first !== undefined && now - first.at > maximumAgeMs / 4) await setAside(file, bounds.segments);
    },
  };
}

const lineSchema = v.looseObject({ at: v.number() });

/** Every line since a time, milliseconds since the epoch, the oldest first. What cannot be read is passed over. */
export async function readJournal<Entry extends Line>(
  file: string,
  schema: v.GenericSchema<unknown, Entry>,
  since: number,
): Promise<Entry[]> {
  // Held open from before the others are looked for: when it is set aside meanwhile, it is read here, and once.
  await using current = await open(file, 'r').catch(nullIfGone);
  const inode = (await current?.stat())?.ino;
  const files: (string | FileHandle)[] = [];
  for (const old of await segmentsOf(file)) {
    const found = await stat(old).catch(() => null);
    if (found !== null && found.mtimeMs >= since && found.ino !== inode) files.push(old);
  }
  if (current !== null) files.push(current);
  const entries: Entry[] = [];
  for (const each of files) entries.push(...(await readEntries(each, schema, since)));
  return entries.toSorted((one, other) => one.at - other.at);
}

function parseLines<Entry extends Line>(text: string, schema: v.GenericSchema<unknown, Entry>): Entry[] {
  const line = v.pipe(v.string(), v.parseJson(), schema);
  return text.split('\n').flatMap((part) => {
    const parsed = v.safeParse(line, part);
    return parsed.success ? [parsed.output] : [];
  });
}

async function readEntries<Entry extends Line>(
  file: string | FileHandle,
  schema: v.GenericSchema<unknown, Entry>,
  since: number,
): Promise<Entry[]> {
  const text = await readFile(file, 'utf8').catch(nothingIfGone);
  return parseLines(text, schema).filter(({ at }) => at >= since);
}

/** When this process last set a file aside, milliseconds since the epoch: a second name of the same time would put one file in the place of another. */
let lastAside = 0;

/** Two processes may do so at once: then one more file is set aside, and nothing is lost. */
async function setAside(file: string, keep: number): Promise<void> {
  lastAside = Math.max(Date.now(), lastAside + 1);
  await rename(file, `${stem(file)}-${String(lastAside).padStart(14, '0')}-${process.pid}.jsonl`).catch(nothingIfGone);
  const all = await segmentsOf(file);
  for (const old of all.slice(0, Math.max(0, all.length - keep))) await rm(old, { force: true });
}

/** The oldest first. */
async function segmentsOf(file: string): Promise<string[]> {
  const names = await readdir(dirname(file)).catch(() => []);
  const begin = `${basename(stem(file))}-`;
  const own = names.filter((name) => name.startsWith(begin) && /^\d{14}-\d+\.jsonl$/.test(name.slice(begin.length)));
  return own.toSorted().map((name) => join(dirname(file), name));
}

const stem = (file: string): string => file.replace(/\.jsonl$/, '');

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => null))?.size ?? 0;
}

/** A file that is not there, or has been set aside, has no line that could be. */
async function isCutOff(file: string): Promise<boolean> {
  await using handle = await open(file, 'r').catch(nullIfGone);
  const size = (await handle?.stat())?.size ?? 0;
  if (handle === null || size === 0) return false;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer.toString() !== '\n';
}

const nothingIfGone = (error: unknown): string => nullIfGone(error) ?? '';

function nullIfGone(error: unknown): null {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
  throw error;
}
