import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { rgPath } from '@vscode/ripgrep';

const require = createRequire(import.meta.url);
const manifestPath = require.resolve('opencode-ai/package.json');

/** OpenCode as the package manager brought it: the program itself and not a wrapper, which would lose signals. */
export const opencodeBinary: string = join(dirname(manifestPath), binaryName());

/** The pinned version of OpenCode. */
export const opencodeVersion: string = readManifest().version;

/** Where `rg` is: without it on the path OpenCode would fetch it at the first search. */
export const ripgrepDirectory: string = dirname(rgPath);

function binaryName(): string {
  const { bin } = readManifest();
  return typeof bin === 'string' ? bin : (Object.values(bin)[0] ?? 'bin/opencode');
}

function readManifest(): { version: string; bin: string | Record<string, string> } {
  return require(manifestPath) as { version: string; bin: string | Record<string, string> }; // npm's own form of a manifest
}
