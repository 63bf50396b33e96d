import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../../src/config.ts';
import { findTemplate, loadTemplates } from '../../../src/templates/load.ts';
import { builtInTemplates } from '../../../src/templates/template.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

async function load(content: string) {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'agents.yaml');
  await writeFile(file, content);
  return await loadTemplates(file);
}

describe('agent types', () => {
  test('are shipped with the worker that is built in', async () => {
    const shipped = await loadTemplates(readConfig({}, { dotenv: null }).templates);
    expect(shipped['worker']).toEqual(builtInTemplates['worker']);
    expect(Object.keys(shipped)).toContain('reviewer');
  });

  test('come from a file, with the built-in worker beside them', async () => {
    const templates = await load(
      'agents:\n  fixer: { description: fixes, model: a/b, steps: 3, permission: { bash: { "rm *": deny } } }',
    );
    expect(Object.keys(templates).toSorted()).toEqual(['fixer', 'worker']);
    expect(findTemplate(templates, 'fixer').steps).toBe(3);
  });

  test.for([
    [
      'a field that does not exist',
      'agents: { x: { description: d, model: a/b, modle: c } }',
      'agents.x.modle is not a field',
    ],
    ['a required field that is missing', 'agents: { x: { model: a/b } }', 'agents.x.description is required'],
    ['a model without a provider', 'agents: { x: { description: d, model: gpt } }', 'provider/model'],
    [
      'a permission that asks',
      'agents: { x: { description: d, model: a/b, permission: { bash: ask } } }',
      'must be allow or deny',
    ],
    ['a list', '- x', 'agents is required'],
    ['an empty file', '', 'must be an object'],
    ['broken YAML', 'agents: {', 'agents.yaml'],
  ] as const)('refuse %s by name', async ([, content, message]) => {
    await expect(load(content)).rejects.toThrow(message);
  });

  test('refuse a file that is not there', async () => {
    await expect(loadTemplates('/nonexistent/agents.yaml')).rejects.toThrow('/nonexistent/agents.yaml');
  });
});

describe('an unknown agent type', () => {
  test('is an error that names the known ones', () => {
    expect(() => findTemplate({ b: { description: 'b' }, a: { description: 'a' } }, 'c')).toThrow(
      'there is no agent type "c"; there are a, b',
    );
  });

  test('is not found among what every object has', () => {
    expect(() => findTemplate(builtInTemplates, 'constructor')).toThrow('no agent type');
  });
});
