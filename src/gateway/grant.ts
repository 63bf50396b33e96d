/** US dollars for a million tokens of each kind. */
export interface ModelPrice {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
}

/** One provider as the gateway reaches it. It holds the key, so it is never written down and never shown. */
export interface ProviderRoute {
  /** The provider's name in OpenCode's configuration: the first part of the path that a cell asks for. */
  provider: string;
  /** What the path of the API is appended to, such as `https://api.openai.com/v1`. */
  baseUrl: string;
  /** Sent with each request, credentials among them, in lower case. */
  headers: Record<string, string>;
  /** The models that may be asked for, by their name on the wire; the price is null where it is not known. */
  models: Record<string, ModelPrice | null>;
  /** Its streams of chat completions tell their usage unasked, and it refuses a request that asks for it. */
  usageUnasked?: true;
}

/**
 * By which way a cell comes in. A cell with a network of its own has a Unix socket, which is its identity, and no port on which
 * anybody else could knock. One that shares the network of the host has a port of loopback, and a token.
 */
export type DoorPlan =
  | {
      kind: 'socket';
      /** Its directory is made when it is not there. */
      path: string;
      /** The user who may connect. Default: the one who runs the gateway. */
      uid?: number;
    }
  | { kind: 'loopback' };

/** What a cell may spend, and where. */
export interface CellGrant {
  cellId: string;
  /** Default: a port of loopback. */
  door?: DoorPlan;
  /** Tokens of all kinds over the life of the cell, what an earlier gateway counted for it included. */
  tokenBudget: number;
  routes: ProviderRoute[];
}

/** How a model is called in metrics and states: unique over providers. */
export const modelLabel = (provider: string, model: string): string => `${provider}/${model}`;
