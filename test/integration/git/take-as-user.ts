import { snapshotTree } from '../../../src/git/tree.ts';
import { restoreWorktree } from '../../../src/git/revert.ts';

/** Takes the tree of a worktree, as whatever user this runs as, prints it, and puts the worktree back. */
const [gitDirectory = '', worktree = '', baseCommit = '', indexFile = ''] = process.argv.slice(2);
const { tree } = await snapshotTree({ gitDirectory, worktree, baseCommit, indexFile, protectedPaths: [] });
await restoreWorktree({ gitDirectory, worktree, baseCommit });
process.stdout.write(tree);
