import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findTemporal } from '../../../src/temporal/find-temporal.ts';
import { cachedTemporal } from '../../../src/temporal/temporal-cli.ts';
import { writeProgram } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const temporal = 'echo "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"';

describe('finding Temporal', () => {
  test('looks for nothing when an address is given', async () => {
    const lines: string[] = [];
    const found = await findTemporal({ address: '10.0.0.1:7233', onStep: (line) => lines.push(line), signal: never() });
    expect(found).toEqual({ kind: 'address', address: '10.0.0.1:7233' });
    expect(lines).toEqual([]);
  });

  test('prefers the CLI on the path to the cached one', async () => {
    await using places = await emptyPlaces();
    await writeProgram(join(places.searchPath, 'temporal'), temporal);
    await writeProgram(cachedTemporal(places.cacheDirectory), temporal);
    expect(await findTemporal(places)).toEqual({
      kind: 'binary',
      path: join(places.searchPath, 'temporal'),
      from: 'path',
    });
    expect(places.lines).toEqual([]);
  });

  test('takes the cached CLI, and says in a line that none is on the path', async () => {
    await using places = await emptyPlaces();
    const cached = cachedTemporal(places.cacheDirectory);
    await writeProgram(cached, temporal);
    expect(await findTemporal(places)).toEqual({ kind: 'binary', path: cached, from: 'cache' });
    expect(places.lines).toEqual(['Temporal: temporal on the PATH: not there']);
  });

  test('passes over a program that is called temporal and is something else', async () => {
    await using places = await emptyPlaces();
    await writeProgram(join(places.searchPath, 'temporal'), 'echo "a calendar"');
    await writeProgram(cachedTemporal(places.cacheDirectory), temporal);
    expect(await findTemporal(places)).toMatchObject({ from: 'cache' });
    expect(places.lines).toEqual([expect.stringContaining('is not the Temporal CLI: it says "a calendar"')]);
  });

  test('names the pinned version in the path of the cached CLI', () => {
    expect(cachedTemporal('/cache')).toBe('/cache/temporal-cli-1.5.1/temporal');
  });

  test('ends at once when it is aborted', async () => {
    await using places = await emptyPlaces();
    await expect(findTemporal({ ...places, signal: AbortSignal.abort() })).rejects.toThrow('aborted');
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
    signal: never(),
    lines,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

const never = () => new AbortController().signal;
