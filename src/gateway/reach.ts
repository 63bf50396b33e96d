import { Refusal } from './refusal.ts';

/** Fields by which a provider is asked to use other models, or to call servers of somebody's choice. */
const fields = ['models', 'fallbacks', 'mcp_servers', 'plugins', 'web_search_options', 'container', 'background'];

/** Tools that the cell itself carries out; every other kind is carried out by the provider. */
const ownTools = /^(function|custom|(bash|text_editor|computer|memory)_\d+|local_shell|shell|apply_patch)$/;

/** How an address is named in a message: only what is inside the request itself may be shown to the model. */
const addresses = new Set(['url', 'image_url', 'file_url', 'video_url', 'audio_url']);

/**
 * A provider reaches the whole internet: what it would fetch or call for a cell that has no network is refused.
 *
 * @throws Refusal naming the field
 */
export function refuseReach(body: Record<string, unknown>, allowedModels: readonly string[]): void {
  const asked = fields.find(
    (name) => isGiven(body[name]) && !(name === 'models' && areAllowed(body[name], allowedModels)),
  );
  if (asked !== undefined) throw elsewhere(`the field ${asked}`);
  const tools: unknown[] = Array.isArray(body['tools']) ? body['tools'] : [];
  if (!tools.every(isOwn)) throw elsewhere('a tool that the provider carries out');
  if (hasAddress(body['messages']) || hasAddress(body['input'])) throw elsewhere('an address in a message');
}

const elsewhere = (what: string): Refusal =>
  new Refusal('reaches_elsewhere', `${what} would make the provider reach further than its model`);

const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== false;

const areAllowed = (models: unknown, allowed: readonly string[]): boolean =>
  Array.isArray(models) && models.every((model) => allowed.some((name) => name === model));

function isOwn(tool: unknown): boolean {
  if (typeof tool !== 'object' || tool === null) return false;
  const type: unknown = Reflect.get(tool, 'type');
  return type === undefined || type === null || (typeof type === 'string' && ownTools.test(type));
}

/** The content of messages, without the arguments and results of tools, which are text to the provider. */
function hasAddress(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasAddress);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, item]) => {
    if (name === 'arguments' || name === 'tool_calls' || name === 'text') return false;
    // A tool that was called with an object: what stands in it is the tool's own.
    if (name === 'input' && Reflect.get(value, 'type') === 'tool_use') return false;
    if (typeof item === 'string') return addresses.has(name) && !item.startsWith('data:');
    return hasAddress(item);
  });
}
