/** What is known of a provider that OpenCode knows without any configuration. Tried with the list inside OpenCode 1.18.33. */
export interface KnownProvider {
  baseUrl: string;
  /** The variable that holds its key. */
  variable: string;
  /** The client package that OpenCode takes for it, where it differs from what is taken for one that is not known. */
  client?: string;
}

/** Its API refuses fields that it does not know, `stream_options` among them. */
export const mistral = '@ai-sdk/mistral';

/** Providers that OpenCode reaches at an address of its own, by paths that the gateway passes on. */
export const knownProviders: ReadonlyMap<string, KnownProvider> = new Map([
  [
    'anthropic',
    { baseUrl: 'https://api.anthropic.com/v1', variable: 'ANTHROPIC_API_KEY', client: '@ai-sdk/anthropic' },
  ],
  ['deepseek', { baseUrl: 'https://api.deepseek.com', variable: 'DEEPSEEK_API_KEY' }],
  ['groq', { baseUrl: 'https://api.groq.com/openai/v1', variable: 'GROQ_API_KEY' }],
  ['mistral', { baseUrl: 'https://api.mistral.ai/v1', variable: 'MISTRAL_API_KEY', client: mistral }],
  ['openai', { baseUrl: 'https://api.openai.com/v1', variable: 'OPENAI_API_KEY' }],
  ['openrouter', { baseUrl: 'https://openrouter.ai/api/v1', variable: 'OPENROUTER_API_KEY' }],
  ['xai', { baseUrl: 'https://api.x.ai/v1', variable: 'XAI_API_KEY' }],
]);

/** Client packages whose requests go to the paths that the gateway passes on, each with the header of its key. */
export const knownClients: ReadonlyMap<string, 'authorization' | 'x-api-key'> = new Map([
  ['@ai-sdk/anthropic', 'x-api-key'],
  ['@ai-sdk/deepseek', 'authorization'],
  ['@ai-sdk/groq', 'authorization'],
  [mistral, 'authorization'],
  ['@ai-sdk/openai', 'authorization'],
  ['@ai-sdk/openai-compatible', 'authorization'],
  ['@ai-sdk/xai', 'authorization'],
  ['@openrouter/ai-sdk-provider', 'authorization'],
]);
