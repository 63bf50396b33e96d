import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { parse } from 'yaml';
import { faultOf } from '../domain/fault.ts';
import { UserError } from '../domain/user-error.ts';
import { builtInTemplates, templatesSchema, type AgentTemplate, type Templates } from './template.ts';

/**
 * Reads a file of agent types. What it defines goes over the built-in types.
 *
 * @throws UserError `InvalidTemplates`, naming the file and the field.
 */
export async function loadTemplates(path: string): Promise<Templates> {
  const invalid = (message: string, cause?: unknown) =>
    new UserError('InvalidTemplates', `${path}: ${message}`, {
      try: 'correct the file, or point CELLS_AGENTS to another one',
      cause,
    });
  let document: unknown;
  try {
    document = parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause), cause);
  }
  const parsed = v.safeParse(templatesSchema, document, { abortEarly: true });
  if (!parsed.success) throw invalid(faultOf(parsed.issues[0], 'file of agent types').message);
  return { ...builtInTemplates, ...parsed.output.agents };
}

/**
 * The template of an agent type.
 *
 * @throws UserError `InvalidTemplates`, naming the types that there are.
 */
export function findTemplate(templates: Templates, name: string): AgentTemplate {
  // Own keys alone: "constructor" is not an agent type.
  const template = Object.hasOwn(templates, name) ? templates[name] : undefined;
  if (template !== undefined) return template;
  throw new UserError(
    'InvalidTemplates',
    `there is no agent type "${name}"; there are ${Object.keys(templates).toSorted().join(', ')}`,
    {
      try: 'name one of them in `agentType`, or define the type in the file that CELLS_AGENTS names',
    },
  );
}
