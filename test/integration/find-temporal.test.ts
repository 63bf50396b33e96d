import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findTemporal } from '../../src/temporal/find-temporal.ts';
import { cachedTemporal } from '../../src/temporal/temporal-cli.ts';
import { writeProgram } from '../support/programs.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** A compiler for this purpose: it puts a program where `go install` would, and counts how often it was asked. */
const go = `
echo run >> "$(dirname "$0")/runs"
echo "go: downloading github.com/some/module v1.0.0" >&2
sleep 1
printf '#!/bin/sh\\necho "temporal version 1.5.1"\\n' > "$GOBIN/temporal"`;

describe('making the Temporal CLI', () => {
  const proxy = process.env['HTTPS_PROXY'];
  // Nothing listens on port 1: the download site is out of reach, whatever network the machine has.
  beforeAll(() => void (process.env['HTTPS_PROXY'] = 'http://127.0.0.1:1'));
  afterAll(() => {
    if (proxy === undefined) delete process.env['HTTPS_PROXY'];
    else process.env['HTTPS_PROXY'] = proxy;
  });

  test('says what each way lacked, and names the ways out, when all fail', async () => {
    await using places = await emptyPlaces();
    const failed = findTemporal(places);
    await expect(failed).rejects.toMatchObject({
      code: 'TemporalUnreachable',
      try: expect.stringMatching(/TEMPORAL_ADDRESS[^]*PATH[^]*temporal-cli-1\.5\.1\/temporal[^]*Go/),
    });
    expect(places.lines).toEqual([
      'Temporal: temporal on the PATH: not there',
      expect.stringMatching(/^Temporal: the cached .*: not there$/),
      'Temporal: downloading the CLI 1.5.1',
      expect.stringMatching(/^Temporal: downloading the CLI 1\.5\.1: .+/),
      'Temporal: building the CLI 1.5.1 with go: go is not on the PATH',
    ]);
    expect(await readdir(dirname(cachedTemporal(places.cacheDirectory)))).toEqual([]);
  });

  test('builds once with go when two ask at the same time, and keeps the result', async () => {
    await using places = await emptyPlaces();
    await writeProgram(join(places.searchPath, 'go'), go);
    const path = cachedTemporal(places.cacheDirectory);
    const searchPath = `${places.searchPath}:/usr/bin:/bin`;
    const [first, second] = await Promise.all([
      findTemporal({ ...places, searchPath }),
      findTemporal({ ...places, searchPath }),
    ]);
    expect([first, second]).toEqual([
      { kind: 'binary', path, from: 'go' },
      { kind: 'binary', path, from: 'go' },
    ]);
    expect(await readdir(dirname(path))).toEqual(['temporal']);
    expect(places.lines).toContain('Temporal: another process builds the CLI; waiting for it');
    expect(await findTemporal({ ...places, searchPath })).toEqual({ kind: 'binary', path, from: 'cache' });
  });

  test("tells go's last line when the build fails, and leaves nothing in the cache", async () => {
    await using places = await emptyPlaces();
    await writeProgram(join(places.searchPath, 'go'), 'echo "go: no route to the module proxy" >&2; exit 1');
    await expect(findTemporal({ ...places, searchPath: `${places.searchPath}:/usr/bin:/bin` })).rejects.toThrow();
    expect(places.lines.at(-1)).toBe(
      'Temporal: building the CLI 1.5.1 with go: go failed: go: no route to the module proxy',
    );
    expect(await readdir(dirname(cachedTemporal(places.cacheDirectory)))).toEqual([]);
  });
});

async function emptyPlaces() {
  const directory = await temporaryDirectory();
  const lines: string[] = [];
  return {
    address: undefined,
    searchPath: join(directory.path, 'bin'),
    cacheDirectory: join(directory.path, 'cache'),
    onStep: (line: string) => void lines.push(line),
    signal: new AbortController().signal,
    lines,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
