import { type FileHandle, open } from 'node:fs/promises';
import { runInNewContext } from 'node:vm';
import * as v from 'valibot';
import { opencodeBinary } from './binary.ts';

/** What the built-in table says of a provider; the rest is only handed on. */
const providerSchema = v.looseObject({ id: v.string(), env: v.optional(v.array(v.string()), []) });
const tableSchema = v.record(v.string(), providerSchema);

/** Every provider that OpenCode knows by itself, as models.dev describes it: by its id. */
export type ModelsTable = v.InferOutput<typeof tableSchema>;

/** What stands in the program where the table begins: it is used unless a file is named. */
const landmark = 'OPENCODE_MODELS_PATH??';
const opening = '(()=>({';
/** The table begins within this many bytes of the landmark, and is no longer than this. */
const reach = 4_096;
const longest = 32 * 1024 ** 2;
const chunk = 16 * 1024 ** 2;

/**
 * The table of models that is built into OpenCode. It stands in its program as a JavaScript literal, 4 MB of it in 1.18.33, and
 * is nowhere else to be had without the network. Null where it is not found: another version may keep it in another way.
 */
export async function builtInModels(binary: string = opencodeBinary): Promise<ModelsTable | null> {
  await using file = await open(binary);
  const at = await find(file, landmark);
  if (at === null) return null;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(longest), 0, longest, at);
  const begin = buffer.subarray(0, reach).indexOf(opening);
  if (begin === -1) return null;
  const literal = literalAt(buffer.subarray(0, bytesRead), begin + opening.length - 2);
  if (literal === null) return null;
  const parsed = v.safeParse(tableSchema, evaluate(literal));
  return parsed.success ? parsed.output : null;
}

/** The position of a text in a file that is too large to be held. */
async function find(file: FileHandle, text: string): Promise<number | null> {
  const buffer = Buffer.alloc(chunk);
  for (let position = 0; ; position += chunk - text.length) {
    const { bytesRead } = await file.read(buffer, 0, chunk, position);
    const found = buffer.subarray(0, bytesRead).indexOf(text);
    if (found !== -1) return position + found;
    if (bytesRead < chunk) return null;
  }
}

const [quote, apostrophe, backtick, backslash] = [34, 39, 96, 92];
const [opens, closes] = [new Set([40, 91, 123]), new Set([41, 93, 125])];

/** The text from an opening bracket to the one that closes it. */
function literalAt(bytes: Buffer, begin: number): string | null {
  let depth = 0;
  let within: number | null = null;
  for (let index = begin; index < bytes.length; index += 1) {
    const byte = bytes[index] ?? 0;
    if (within !== null) {
      if (byte === backslash) index += 1;
      else if (byte === within) within = null;
    } else if (byte === quote || byte === apostrophe || byte === backtick) within = byte;
    else if (opens.has(byte)) depth += 1;
    else if (closes.has(byte)) depth -= 1;
    if (depth === 0) return bytes.toString('utf8', begin, index + 1);
  }
  return null;
}

/** It is of the program that runs in every cell anyway; here it has nothing to reach for. */
function evaluate(literal: string): unknown {
  try {
    return JSON.parse(String(runInNewContext(`JSON.stringify(${literal})`, {}, { timeout: 20_000 })));
  } catch {
    return null;
  }
}
