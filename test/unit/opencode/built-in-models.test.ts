import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { builtInModels } from '../../../src/opencode/built-in-models.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

describe('the table of models in a program', () => {
  test('is found in the pinned OpenCode', { timeout: 60_000 }, async () => {
    const table = await builtInModels();
    expect(table?.['anthropic']).toMatchObject({ id: 'anthropic', env: ['ANTHROPIC_API_KEY'] });
    expect(Object.keys(table ?? {}).length).toBeGreaterThan(100);
  });

  test('is read whatever its strings hold', async () => {
    const table =
      '{one:{id:"one",env:["ONE_API_KEY"],name:"a } in \\" and \'",models:{"a/b":{open:!1}}},two:{id:\'two\'}}';
    expect(await tableIn(`f=read(OPENCODE_MODELS_PATH??a),p=sync(()=>(${table})),rest(}`)).toEqual({
      one: { id: 'one', env: ['ONE_API_KEY'], name: 'a } in " and \'', models: { 'a/b': { open: false } } },
      two: { id: 'two', env: [] },
    });
  });

  test.each([
    ['there is none', 'nothing of that kind'],
    ['it does not stand where it should', 'OPENCODE_MODELS_PATH??a, and nothing else'],
    ['it has no end', 'OPENCODE_MODELS_PATH??a(()=>({one:{id:"one"'],
    ['it is not data', 'OPENCODE_MODELS_PATH??a(()=>({one:{id:process.exit()}}))'],
    ['it has another form', 'OPENCODE_MODELS_PATH??a(()=>({one:1}))'],
  ])('is none where %s', async (_, text) => {
    expect(await tableIn(text)).toBeNull();
  });
});

async function tableIn(text: string) {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'program');
  await writeFile(file, text);
  return await builtInModels(file);
}
