import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeConfig } from '../../src/config.ts';
import { root, sourceFiles } from '../support/source-files.ts';

interface Page {
  /** Relative to the root of the project. */
  path: string;
  text: string;
}

const pages = globSync('{*.md,{docs,examples,infra,test}/**/*.md}', { cwd: root, exclude: ['**/node_modules'] })
  .toSorted()
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');
const linesOf = (path: string): number => textOf(path).split('\n').length - 1;

describe('the documents', () => {
  test('are found', () => {
    expect(pages.map(({ path }) => path)).toEqual(expect.arrayContaining(['README.md', 'docs/operations.md']));
  });

  test('link only to files and headings that there are', () => {
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  test('that the code names are there', () => {
    const named = sourceFiles(['src', 'activities', 'workflows', 'scripts', 'bin']).flatMap(({ path, text }) =>
      [...text.matchAll(/\bdocs\/[\w/.-]+\.md\b/g)].map(([page]) => ({ path, page })),
    );
    expect(named.filter(({ page }) => !existsSync(join(root, page)))).toEqual([]);
  });

  test('name only npm scripts that there are', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
    const named = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/\bnpm run (?:--silent )?([a-z][\w:-]*)/g)].map(([, script = '']) => `${path}: ${script}`),
    );
    const known = Object.keys(scripts);
    expect(named.filter((line) => !known.includes(line.slice(line.lastIndexOf(' ') + 1)))).toEqual([]);
  });

  test('that are read first are short', () => {
    expect(linesOf('README.md')).toBeLessThanOrEqual(120);
    expect(linesOf('AGENTS.md')).toBeLessThan(100);
  });
});

test('every setting is explained', () => {
  const explained =
    textOf('docs/operations.md') + (existsSync(join(root, 'docs/contract.md')) ? textOf('docs/contract.md') : '');
  const settings = describeConfig({}, { dotenv: null }).map(({ name }) => name);
  expect(settings.length).toBeGreaterThan(0);
  expect(settings.filter((name) => !explained.includes(`\`${name}\``))).toEqual([]);
});

function brokenLinks({ path, text }: Page): string[] {
  const links = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)].map(
    ([, markdown, html]) => markdown ?? html ?? '',
  );
  return links
    .filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(link, path))
    .map((link) => `${path}: ${link}`);
}

function leadsSomewhere(link: string, from: string): boolean {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? join(root, from) : resolve(root, dirname(from), decodeURIComponent(file));
  if (relative(root, target).startsWith('..') || !existsSync(target)) return false;
  return anchor === undefined || !target.endsWith('.md') || anchorsOf(readFileSync(target, 'utf8')).includes(anchor);
}

/** The anchors that GitHub gives to headings. */
function anchorsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

const withoutCode = (text: string): string => text.replaceAll(/^(```+).*?^\1$/gms, '');
