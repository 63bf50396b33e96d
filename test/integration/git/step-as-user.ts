import { restoreTree } from '../../../src/git/restore-tree.ts';
import { restoreWorktree } from '../../../src/git/revert.ts';
import { snapshotTree } from '../../../src/git/tree.ts';

/** Does a step of the host with a worktree, as whatever user this runs as, and prints what it answers. */
const steps = { snapshotTree, restoreTree, restoreWorktree };
const [step, input = ''] = process.argv.slice(2);
// Given by `asNobody`, which takes both of the same types.
const answer: unknown = await steps[step as keyof typeof steps](JSON.parse(input));
process.stdout.write(JSON.stringify(answer ?? null));
