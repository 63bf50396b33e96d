import { Refusal } from './refusal.ts';

/** Fields by which a provider is asked to use other models, to call servers of somebody's choice, or to take what the body does not show. */
const fields = [
  'models',
  'fallbacks',
  'mcp_servers',
  'plugins',
  'web_search_options',
  'search_parameters',
  'prompt',
  'container',
  'background',
];

/** Tools that the cell itself carries out; every other kind is carried out by the provider. */
const ownTools = /^(function|custom|(bash|text_editor|computer|memory)_\d+|local_shell|shell|apply_patch)$/;

/** A string of these names is text to the provider, whatever it says. */
const texts = new Set([
  'content',
  'context',
  'description',
  'diff',
  'filename',
  'input',
  'instructions',
  'output',
  'reasoning',
  'reasoning_content',
  'refusal',
  'stderr',
  'stdout',
  'summary',
  'system',
  'text',
  'thinking',
  'title',
]);

/** All that is below these names is text as well: what a tool was called with, and the shape of an answer. */
const textsAsAWhole = new Set(['arguments', 'function_call', 'schema', 'tool_calls']);

/** Fields that hold an address, or what is encoded in one. */
const ofAddresses = /(^|_)ur[il]s?$/;

/** An address as those read it who fetch it: in any case, behind spaces, with slashes of either kind. */
const address = /^\W*([a-z][a-z0-9+.-]{0,30}:\/\/|https?:)/i;

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
  // What describes a function is text.
  const { tools, functions: _, ...rest } = body;
  const areOwn = Array.isArray(tools) && tools.every(isOwn);
  if (isGiven(tools) && !areOwn) throw elsewhere('a tool that the provider carries out');
  if (hasAddress(rest, '')) throw elsewhere('an address outside of a text');
}

const elsewhere = (what: string): Refusal =>
  new Refusal('reaches_elsewhere', `${what} would make the provider reach further than its model`);

const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== false;

const areAllowed = (models: unknown, allowed: readonly string[]): boolean =>
  Array.isArray(models) && models.every((model) => allowed.some((name) => name === model));

function isOwn(tool: unknown): boolean {
  if (typeof tool !== 'object' || tool === null) return false;
  const type: unknown = Reflect.get(tool, 'type');
  if (type === 'shell') return isLocal(Reflect.get(tool, 'environment'));
  return type === undefined || type === null || (typeof type === 'string' && ownTools.test(type));
}

/** A shell is the cell's own unless it says where else it is. */
const isLocal = (environment: unknown): boolean =>
  environment === undefined ||
  environment === null ||
  (typeof environment === 'object' && Reflect.get(environment, 'type') === 'local');

/** Whether there is an address where the provider may take it for one: only what is inside the request itself may be shown to the model. */
function hasAddress(value: unknown, name: string): boolean {
  if (typeof value === 'string') return !texts.has(name) && isAddress(value, name);
  if (Array.isArray(value)) return value.some((item) => hasAddress(item, name));
  if (typeof value !== 'object' || value === null) return false;
  const type: unknown = Reflect.get(value, 'type');
  return Object.entries(value).some(([key, item]) => !isText(key, name, type) && hasAddress(item, key));
}

/** Some names mean a text in one kind of thing alone: in a call of a tool by the model, in a document that is written out. */
function isText(name: string, owner: string, type: unknown): boolean {
  if (textsAsAWhole.has(name)) return true;
  if (name === 'input') return owner === 'content' && type === 'tool_use';
  if (name === 'action') return owner === 'input' && (type === 'local_shell_call' || type === 'shell_call');
  return name === 'data' && owner === 'source' && type === 'text';
}

function isAddress(text: string, name: string): boolean {
  if (text.startsWith('data:')) return false;
  // Line ends and tabs are dropped where an address is read.
  return ofAddresses.test(name) || address.test(text.replaceAll(/\s/g, ''));
}
