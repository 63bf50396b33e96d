import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { providersBehindGateway } from '../../../src/opencode/gateway-config.ts';
import { type KeySource, modelRoutes } from '../../../src/opencode/model-routes.ts';
import { opencodeProvider, scriptedModelId } from '../../../src/scripted-model/opencode-provider.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const keys: KeySource = {
  variables: {
    ANTHROPIC_API_KEY: 'key-of-anthropic',
    OPENROUTER_API_KEY: 'key-of-openrouter',
    ACME_API_KEY: 'key-of-acme',
  },
  directory: null,
};

describe('the routes of a cell', () => {
  test('lead to the providers of the operator, with their keys and prices', async () => {
    expect(await modelRoutes(opencodeProvider('http://127.0.0.1:1/v1'), scriptedModelId, keys)).toEqual([
      {
        provider: 'scripted',
        baseUrl: 'http://127.0.0.1:1/v1',
        headers: { authorization: 'Bearer scripted' },
        models: { default: { input: 1, output: 4, cacheRead: 0.1, cacheWrite: 0 } },
      },
    ]);
  });

  test('lead to providers that OpenCode knows by itself, one for each, to the models of the cell alone', async () => {
    const base = {
      small_model: 'anthropic/small',
      agent: { plan: { model: 'openrouter/maker/wise' }, build: { temperature: 0 } },
      command: { review: { template: 'Look.', model: 'anthropic/large' } },
    };
    expect(await modelRoutes(base, 'anthropic/large', keys)).toEqual([
      {
        provider: 'anthropic',
        baseUrl: 'https://api.anthropic.com/v1',
        headers: { 'x-api-key': 'key-of-anthropic' },
        models: { large: null, small: null },
      },
      {
        provider: 'openrouter',
        baseUrl: 'https://openrouter.ai/api/v1',
        headers: { authorization: 'Bearer key-of-openrouter' },
        models: { 'maker/wise': null },
      },
    ]);
  });

  test.for([
    ['mistral', {}, true],
    ['acme', { npm: '@ai-sdk/mistral', options: { baseURL: 'https://acme.test/v1' } }, true],
    ['mistral', { npm: '@ai-sdk/openai-compatible' }, undefined],
  ] as const)(
    'to %s with %j say whether a stream may be asked for its usage, which Mistral refuses',
    async ([name, entry, usageUnasked]) => {
      const variables = { MISTRAL_API_KEY: 'key-of-mistral' };
      const [route] = await modelRoutes({ provider: { [name]: entry } }, `${name}/one`, { ...keys, variables });
      expect(route?.usageUnasked).toBe(usageUnasked);
    },
  );

  test('read what the configuration names in place of a secret', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, 'key'), 'from-the-file\n');
    const provider = {
      acme: {
        options: { baseURL: 'https://acme.test/v1', apiKey: '{file:key}', headers: { 'X-Team': '{env:ACME_API_KEY}' } },
        models: { one: { id: 'one-2026' } },
      },
    };
    const [route] = await modelRoutes({ provider }, 'acme/one', { ...keys, directory: directory.path });
    expect(route).toEqual({
      provider: 'acme',
      baseUrl: 'https://acme.test/v1',
      headers: { authorization: 'Bearer from-the-file', 'x-team': 'key-of-acme' },
      models: { 'one-2026': null },
    });
  });

  test.for([
    ['nobody/one', {}, /the address of the provider nobody is not known/],
    ['openai/one', {}, /the provider openai has no key: set OPENAI_API_KEY/],
    ['acme/one', { npm: '@ai-sdk/google', options: { baseURL: 'https://acme.test' } }, /acme uses @ai-sdk\/google/],
    ['acme/one', { options: { baseURL: 'file:///etc' } }, /must be an http or https URL/],
    ['acme/one', { options: { baseURL: 'https://u:p@acme.test' } }, /without credentials/],
    ['acme/one', { options: { baseURL: 'https://acme.test', apiKey: '{env:OTHER}' } }, /needs \{env:OTHER\}/],
    ['acme/one', { options: { baseURL: 'https://acme.test', apiKey: 7 } }, /acme: options.apiKey/],
    [
      'acme/one',
      { options: { baseURL: 'https://acme.test' }, models: { one: { headers: {} } } },
      /headers or a provider of its own/,
    ],
  ] as const)('are refused for %s with %j', async ([model, entry, message]) => {
    const [provider = ''] = model.split('/');
    await expect(modelRoutes({ provider: { [provider]: entry } }, model, keys)).rejects.toThrow(message);
  });
});

test('the configuration of a cell behind the gateway has no key, no address, and no other provider', async () => {
  const base = {
    provider: {
      acme: {
        name: 'Acme',
        env: ['ACME_API_KEY'],
        options: {
          baseURL: 'https://acme.test/v1',
          apiKey: 'secret-one',
          headers: { authorization: 'secret-two' },
          organization: 'secret-three',
          reasoningEffort: 'high',
        },
        models: {
          one: { limit: { context: 1000 } },
          another: { name: 'Another', headers: { authorization: 'secret-five' }, provider: { api: 'https://x.test' } },
        },
      },
      other: { options: { apiKey: 'secret-four' } },
    },
  };
  const routes = await modelRoutes(base, 'acme/one', keys);
  const config = providersBehindGateway(base, routes, { url: 'http://127.0.0.1:8080', token: 'of-the-cell' });
  expect(config).toEqual({
    provider: {
      acme: {
        name: 'Acme',
        options: {
          reasoningEffort: 'high',
          baseURL: 'http://127.0.0.1:8080/acme/v1',
          apiKey: 'of-the-cell',
          headerTimeout: false,
          chunkTimeout: 180_000,
        },
        models: { one: { limit: { context: 1000 } }, another: { name: 'Another' } },
      },
    },
    enabled_providers: ['acme'],
  });
});
