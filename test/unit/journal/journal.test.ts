import { appendFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { followJournal } from '../../../src/journal/follow.ts';
import { openJournal, readJournal } from '../../../src/journal/journal.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

interface Entry {
  at: number;
  text: string;
}

const schema = v.object({ at: v.number(), text: v.string() });
const roomy = { segmentBytes: 1024 * 1024, segments: 3 };
const writer = fileURLToPath(new URL('../../fixtures/journal/writes.ts', import.meta.url));

describe('a journal', () => {
  test('has what several processes wrote at once, each line whole, also where its file was set aside meanwhile', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'all.jsonl');
    const bounds = JSON.stringify({ segmentBytes: 4_000, segments: 100 });
    await Promise.all(['a', 'b', 'c'].map((name) => execa(process.execPath, [writer, file, bounds, name, '150'])));
    const texts = (await readJournal(file, schema, 0)).map(({ text }) => text);
    const all = ['a', 'b', 'c'].flatMap((name) => Array.from({ length: 150 }, (_, index) => `${name}${index}`));
    expect(texts.toSorted()).toEqual(all.toSorted());
    expect((await readdir(directory.path)).length).toBeGreaterThan(2);
  });

  test('takes no more room than it may, and forgets the oldest first', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'some.jsonl');
    const journal = openJournal<Entry>(file, { segmentBytes: 500, segments: 2 });
    for (let at = 1; at <= 200; at += 1) await journal.append([{ at, text: 'x'.repeat(20) }]);
    const kept = await readJournal(file, schema, 0);
    expect(kept.at(-1)?.at).toBe(200);
    expect(kept.length).toBeLessThan(60);
    expect(kept.map(({ at }) => at)).toEqual(kept.map((_, index) => 201 - kept.length + index));
    const sizes = await Promise.all((await readdir(directory.path)).map((name) => stat(join(directory.path, name))));
    expect(sizes.length).toBeLessThanOrEqual(3);
    expect(sizes.every(({ mode }) => (mode & 0o777) === 0o600)).toBe(true);
  });

  test('loses nothing of what follows a line that was cut off', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'cut.jsonl');
    await writeFile(file, '{"at":1,"text":"whole"}\n{"at":2,"te');
    await openJournal<Entry>(file, roomy).append([{ at: 3, text: 'next' }]);
    expect(await readJournal(file, schema, 0)).toEqual([
      { at: 1, text: 'whole' },
      { at: 3, text: 'next' },
    ]);
  });

  test('loses nothing of what a process writes after another one was cut off', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'shared.jsonl');
    const journal = openJournal<Entry>(file, roomy);
    await journal.append([{ at: 1, text: 'before' }]);
    await appendFile(file, '{"at":2,"te');
    await journal.append([{ at: 3, text: 'after' }]);
    expect((await readJournal(file, schema, 0)).map(({ text }) => text)).toEqual(['before', 'after']);
  });

  test('takes the first line of a process whose predecessor left a file that is full', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'full.jsonl');
    const bounds = { segmentBytes: 10, segments: 3 };
    await openJournal<Entry>(file, bounds).append([{ at: 1, text: 'before' }]);
    await openJournal<Entry>(file, bounds).append([{ at: 2, text: 'after' }]);
    expect((await readJournal(file, schema, 0)).map(({ text }) => text)).toEqual(['before', 'after']);
  });

  test('lets go of what is older than it is to be kept', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'old.jsonl');
    const journal = openJournal<Entry>(file, roomy);
    const long = Date.now() - 100_000;
    await journal.append([{ at: long, text: 'old' }]);
    await journal.expire(300_000);
    await journal.append([{ at: Date.now(), text: 'new' }]);
    expect((await readJournal(file, schema, 0)).map(({ text }) => text)).toEqual(['old', 'new']);
    const [aside = ''] = (await readdir(directory.path)).filter((name) => name !== 'old.jsonl');
    await utimes(join(directory.path, aside), new Date(long), new Date(long));
    await journal.expire(50_000);
    expect((await readJournal(file, schema, 0)).map(({ text }) => text)).toEqual(['new']);
  });

  test('can be followed over the change of its file', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'followed.jsonl');
    const journal = openJournal<Entry>(file, { segmentBytes: 100, segments: 50 });
    await journal.append([{ at: 1, text: 'before' }]);
    const over = new AbortController();
    const heard: Entry[] = [];
    const following = (async () => {
      for await (const entry of followJournal(file, schema, 1, over.signal)) heard.push(entry);
    })();
    await waitUntil(() => heard.length === 1);
    for (let at = 2; at < 20; at += 1) await journal.append([{ at, text: `line ${at}` }]);
    await waitUntil(() => heard.length >= 19);
    // The same once more is another line.
    await journal.append([{ at: 19, text: 'line 19' }]);
    await waitUntil(() => heard.length >= 20);
    over.abort();
    await following;
    expect(heard.map(({ at }) => at)).toEqual([...Array.from({ length: 19 }, (_, index) => index + 1), 19]);
  });

  test('can be followed from where its file has just been set aside', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'aside.jsonl');
    const journal = openJournal<Entry>(file, roomy);
    await journal.append([{ at: 7, text: 'aside' }]);
    await journal.expire(Date.now());
    expect(await readdir(directory.path)).not.toContain('aside.jsonl');
    const over = new AbortController();
    over.abort();
    const heard: Entry[] = [];
    for await (const entry of followJournal(file, schema, 1, over.signal)) heard.push(entry);
    expect(heard.map(({ text }) => text)).toEqual(['aside']);
  });

  test('keeps every line when it changes its file several times within a millisecond', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'quick.jsonl');
    const journal = openJournal<Entry>(file, { segmentBytes: 1, segments: 500 });
    const numbers = Array.from({ length: 300 }, (_, index) => index);
    for (const at of numbers) await journal.append([{ at, text: 'line' }]);
    expect((await readJournal(file, schema, 0)).map(({ at }) => at)).toEqual(numbers);
  });

  test('passes over what it cannot read', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'mixed.jsonl');
    await appendFile(file, 'nonsense\n{"at":"later"}\n\n{"at":5,"text":"ok","more":1}\n');
    expect(await readJournal(file, schema, 0)).toEqual([{ at: 5, text: 'ok' }]);
    expect(await readJournal(join(directory.path, 'none.jsonl'), schema, 0)).toEqual([]);
  });
});
