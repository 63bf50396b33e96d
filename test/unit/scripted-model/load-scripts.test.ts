import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { UserError } from '../../../src/domain/user-error.ts';
import { loadScripts, parseScripts } from '../../../src/scripted-model/load-scripts.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

async function faultOf(yaml: string): Promise<string> {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'x.yaml');
  await writeFile(file, yaml);
  const error = await loadScripts(file).then(
    () => new Error('it was accepted'),
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message.replace(`${directory.path}/`, '') : '';
}

const withTurn = (turn: string) => `scripts:\n  a:\n    rounds:\n      - turns:\n          - ${turn}\n`;

describe('reading a file of scripts', () => {
  test.for(['examples/scripts/demo.yaml', 'test/fixtures/scripts/suite.yaml'])('accepts %s', async (file) => {
    expect(Object.keys(await loadScripts(join(root, file))).length).toBeGreaterThan(4);
  });

  test('turns durations into milliseconds and fills in what is left out', () => {
    const { a } = parseScripts({
      a: { rounds: [{ turns: [{ text: 'x', delay: '2s', usage: { input: 1, output: 2 } }] }] },
    });
    expect(a).toEqual({
      rounds: [{ turns: [{ text: 'x', delay: 2000, usage: { input: 1, output: 2, cacheRead: 0, reasoning: 0 } }] }],
      repeat: 'none',
    });
  });

  test('names the line and the field that does not exist', async () => {
    expect(await faultOf(withTurn('text: x\n            tekst: y'))).toMatch(
      /^x\.yaml:6:13: scripts\.a\.rounds\.0\.turns\.0\.tekst is not a field/,
    );
  });

  test('names the line of what lacks a required field', async () => {
    expect(await faultOf(withTurn('text: x\n            cut: {}'))).toMatch(
      /^x\.yaml:6:13: scripts\.a\.rounds\.0\.turns\.0\.cut\.afterChunks is required/,
    );
  });

  test('names the line of YAML that is not well-formed', async () => {
    expect(await faultOf('scripts:\n  a: [')).toMatch(/^x\.yaml: .*line 2/s);
  });

  test.for([
    ['text: 5', 'text: must be a string'],
    ['text: x\n            delay: 5 parsecs', 'delay: must be a positive duration'],
    ['text: x\n            usage: { input: 1.5, output: 0 }', 'usage.input: must be a whole number'],
    ['text: x\n            usage: { input: -1, output: 0 }', 'usage.input: must be at least 0'],
    ['text: x\n            finish: soon', 'finish: must be one of'],
    ['calls: []', 'calls: must not be empty'],
    ['calls: [{ tool: "rm -rf" }]', 'tool: is not a name for a tool'],
    ['{}', 'needs text, reasoning or calls'],
    ['delay: 1s', 'needs text, reasoning or calls'],
    ['cut: { afterChunks: 1 }', 'needs text, reasoning or calls'],
    ['error: { status: 500, times: 1 }', 'needs text, reasoning or calls'],
    ['error: { status: 200 }', 'error.status: must be at least 400'],
    ['{ error: { status: 500 }, text: never }', 'never played'],
    ['{ silence: true, garbage: true }', 'more than one of'],
    ['silence: maybe', 'silence: must be true or before-headers'],
    ['text: "{{worktre}}"', 'uses a variable that does not exist: {{worktre}}'],
  ])('refuses the turn %s', async ([turn = '', fault = '']) => {
    expect(await faultOf(withTurn(turn))).toContain(fault);
  });

  test.for([
    ['', 'the script file must be an object'],
    ['scripts: {}\nscript: {}', 'script is not a field of a script file'],
    ['scripts:\n  "a b": { rounds: [] }', 'is not a name for a script'],
    ['scripts:\n  a: { rounds: [] }', 'scripts.a.rounds: must not be empty'],
    ['scripts:\n  a: { rounds: [{ turns: [] }] }', 'scripts.a.rounds.0.turns: must not be empty'],
  ])('refuses the file %j', async ([yaml = '', fault = '']) => {
    expect(await faultOf(yaml)).toContain(fault);
  });

  test('names the alias that does not exist', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'x.yaml');
    await writeFile(file, 'scripts:\n  a: *bold\n');
    await expect(loadScripts(file)).rejects.toThrow(UserError);
    await expect(loadScripts(file)).rejects.toThrow(`${file}: Unresolved alias`);
  });

  test('says which file cannot be read', async () => {
    await expect(loadScripts('/nowhere/x.yaml')).rejects.toThrow('/nowhere/x.yaml cannot be read');
  });
});
