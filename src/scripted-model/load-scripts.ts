import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document, type Range } from 'yaml';
import { faultOf } from '../domain/fault.ts';
import { UserError } from '../domain/user-error.ts';
import { scriptFile, type Scripts } from './script.ts';

/**
 * Reads a YAML file of scripts.
 *
 * @throws UserError `InvalidInput`, naming the file, the line and column, and the field.
 */
export async function loadScripts(file: string): Promise<Scripts> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw invalid(`${file} cannot be read`, cause);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) throw invalid(`${file}: ${error.message}`, error);
  const parsed = v.safeParse(scriptFile, contentOf(document, file), { abortEarly: true });
  if (parsed.success) return parsed.output.scripts;
  const [issue] = parsed.issues;
  throw invalid(`${file}:${placeOf(issue, document, lines)}: ${faultOf(issue, 'script file').message}`);
}

/**
 * Parses scripts that a program gives.
 *
 * @throws UserError `InvalidInput`, naming the field.
 */
export function parseScripts(scripts: unknown): Scripts {
  const parsed = v.safeParse(scriptFile, { scripts }, { abortEarly: true });
  if (parsed.success) return parsed.output.scripts;
  throw invalid(faultOf(parsed.issues[0], 'script file').message);
}

/** Aliases are followed only here: one may lead nowhere, or to too much. */
function contentOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw invalid(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function invalid(message: string, cause?: unknown): UserError {
  return new UserError('InvalidInput', message, { try: 'see docs/scripted-model.md for what a script may say', cause });
}

/** `line:column` of the field; of what should contain it when it is missing. */
function placeOf(issue: v.BaseIssue<unknown>, document: Document, lines: LineCounter): string {
  let range = rangeOf(document.contents);
  let node: unknown = document.contents;
  for (const { key } of issue.path ?? []) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (pair === undefined) break;
      range = rangeOf(pair.key) ?? range;
      node = pair.value;
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key];
      range = rangeOf(node) ?? range;
    } else break;
  }
  const { line, col } = lines.linePos(range?.[0] ?? 0);
  return `${line}:${col}`;
}

function rangeOf(node: unknown): Range | null {
  return isNode(node) ? (node.range ?? null) : null;
}
