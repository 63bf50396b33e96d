#!/usr/bin/env node
/** The `cells` command: from a checkout its TypeScript source, from an installed package what was built of it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pinnedNode, runOn } from './pinned-node.mjs';

const built = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url));
const source = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const node = pinnedNode();

if (node === null) {
  process.stderr.write(
    'cells: the Node.js that it needs is not installed (the npm package `node` has no binary).\n' +
      'In a checkout run `npm ci`; if npm does not run install scripts, `npm rebuild node opencode-ai --ignore-scripts=false`.\n',
  );
  process.exit(1);
}
runOn(node, [existsSync(source) ? source : built, ...process.argv.slice(2)]);
