import { stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { writeModels } from '../../../src/opencode/models.ts';
import { opencodeProvider } from '../../../src/scripted-model/opencode-provider.ts';
import { type OpencodeServer, startOpencodeServer } from '../../support/opencode-server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';

test(
  'a server that has only the models of its host says of them what one with all models says',
  { timeout: 300_000 },
  async () => {
    await using directory = await temporaryDirectory();
    await using repository = await temporaryRepository();
    const base = { ...opencodeProvider('http://127.0.0.1:9'), agent: { build: { model: 'google/gemini-2.5-pro' } } };
    const known = await writeModels({
      directory: directory.path,
      base,
      models: ['anthropic/claude-sonnet-4-5'],
      providerEnvironment: { OPENAI_API_KEY: 'a key' },
    });
    const named = ['anthropic', 'google', 'openai', 'scripted'];
    expect(named.map((provider) => known?.covers(`${provider}/any`))).toEqual([true, true, true, true]);
    expect(known?.covers('groq/any')).toBe(false);
    // A server that is confined is another user than the worker that wrote it.
    expect((await stat(known?.file ?? '')).mode & 0o777).toBe(0o644);

    await using few = await startOpencodeServer(base, known?.file ?? null);
    await using all = await startOpencodeServer(base);
    const fromFew = await providersOf(few, repository.path);
    const fromAll = await providersOf(all, repository.path);
    expect([...fromFew.keys()].toSorted()).toEqual(named);
    expect(fromAll.size).toBeGreaterThan(100);
    for (const name of named) expect(fromFew.get(name)).toEqual(fromAll.get(name));
  },
);

async function providersOf(server: OpencodeServer, directory: string) {
  const { data } = await server.client(directory).provider.list(undefined, { throwOnError: true });
  return new Map(data.all.map((provider) => [provider.id, provider]));
}
