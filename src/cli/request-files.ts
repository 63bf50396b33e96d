import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { parse } from 'yaml';
import { startLimits, tooLarge } from '../client/start-limits.ts';
import { impossibleIn } from '../domain/impossible.ts';
import { workflowIdOf } from '../domain/names.ts';
import { parseCellRequest, type CellRequest } from '../domain/request.ts';
import { UserError } from '../domain/user-error.ts';
import type { Streams } from './cli.ts';

/** Reads a file as text; `-` is standard input. */
export async function readInput(file: string, streams: Pick<Streams, 'stdin'>): Promise<string> {
  try {
    return file === '-' ? await text(streams.stdin) : await readFile(file, 'utf8');
  } catch (cause) {
    throw new UserError(
      'InvalidInput',
      `cannot read ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        try: 'check the path',
        cause,
      },
    );
  }
}

/** One YAML or JSON document. */
export function parseDocument(content: string, file: string): unknown {
  try {
    return parse(content);
  } catch (cause) {
    // Aliases that lead nowhere, or to too much, are errors of other classes than faults of the form.
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError('InvalidInput', `${file} is neither YAML nor JSON: ${why}`, {
      try: 'correct the file',
      cause,
    });
  }
}

/**
 * Reads many requests: JSON lines, or a YAML or JSON list. All are checked before the first is used.
 *
 * @throws UserError `InvalidCellRequest`, naming every request that is not valid, by its line or its place in the list.
 */
export function parseBatch(content: string, file: string): CellRequest[] {
  const items = jsonLines(content) ?? listIn(content, file);
  if (items.length > startLimits.batch) {
    throw new UserError(
      'InvalidInput',
      `${file} holds ${items.length} requests, and the limit of a batch is ${startLimits.batch}`,
      {
        try: 'start it in parts',
      },
    );
  }
  const faults: string[] = [];
  const seen = new Map<string, string>();
  const requests = items.flatMap(({ where, value }) => {
    const parsed = parseCellRequest(value);
    if (!parsed.ok) {
      faults.push(`${where}: ${parsed.message}`);
      return [];
    }
    // It was parsed just now; it is sent as it was written, so that Temporal shows what was asked for.
    const request = value as CellRequest;
    const impossible = impossibleIn(parsed.request);
    if (impossible !== null) faults.push(`${where}: ${impossible.field}: ${impossible.why}`);
    const large = tooLarge(request);
    if (large !== null) faults.push(`${where}: ${large}`);
    const id = workflowIdOf(parsed.request);
    const earlier = seen.get(id);
    if (earlier !== undefined)
      faults.push(
        `${where}: task ${parsed.request.taskId} and agent ${parsed.request.agentId} are those of ${earlier}`,
      );
    seen.set(id, where);
    return [request];
  });
  if (faults.length > 0) {
    throw new UserError('InvalidCellRequest', `nothing was started, for in ${file}\n    ${faults.join('\n    ')}`, {
      try: 'correct them; docs/contract.md lists all fields',
    });
  }
  return requests;
}

interface Item {
  /** `line 3` or `item 3`. */
  where: string;
  value: unknown;
}

/** Null when the text is not made of JSON objects, one a line. */
function jsonLines(content: string): Item[] | null {
  const lines = content.split('\n').map((line, index) => ({ line: line.trim(), where: `line ${index + 1}` }));
  const filled = lines.filter(({ line }) => line !== '');
  if (filled.length === 0 || !filled.every(({ line }) => line.startsWith('{') && line.endsWith('}'))) return null;
  try {
    return filled.map(({ line, where }) => ({ where, value: JSON.parse(line) as unknown }));
  } catch {
    return null;
  }
}

function listIn(content: string, file: string): Item[] {
  const document = parseDocument(content, file);
  if (Array.isArray(document)) return document.map((value: unknown, index) => ({ where: `item ${index + 1}`, value }));
  throw new UserError('InvalidInput', `${file} holds no list of requests`, {
    try: 'write one JSON object a line, or a YAML list of requests',
  });
}
