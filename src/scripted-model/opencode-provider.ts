/** The name of the one model there is. */
export const scriptedModelName = 'default';

/** The model's name in OpenCode's own form, `provider/model`. */
export const scriptedModelId = `scripted/${scriptedModelName}`;

/** The part of an OpenCode configuration that makes `scripted/default` a model; `url` is that of the scripted model. */
export function opencodeProvider(url: string) {
  return {
    provider: {
      scripted: {
        npm: '@ai-sdk/openai-compatible',
        name: 'Scripted model',
        options: { baseURL: url, apiKey: 'scripted' },
        models: {
          [scriptedModelName]: {
            name: 'Scripted',
            tool_call: true,
            reasoning: true,
            // Without a limit OpenCode never compacts, and without a price every cost is 0. US dollars for a million tokens.
            limit: { context: 200_000, output: 8192 },
            cost: { input: 1, output: 4, cache_read: 0.1, cache_write: 0 },
          },
        },
      },
    },
  };
}
