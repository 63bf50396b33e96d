/** Makes `dist` for publishing: JavaScript, types, and the workflows bundled ahead, so that an installed worker starts without a bundler. */
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { execa } from 'execa';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

await rm(dist, { recursive: true, force: true });
await execa('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, preferLocal: true, stdio: 'inherit' });
await cp(join(root, 'config'), join(dist, 'config'), { recursive: true });
const { code } = await bundleWorkflowCode({ workflowsPath: join(dist, 'workflows', 'index.js') });
await writeFile(join(dist, 'workflow-bundle.js'), code);
