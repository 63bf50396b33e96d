/** The small process that starts programs for the worker, see `startRunner`. */
import { gitWork } from '../git/run-git.ts';
import { programWork } from '../runner/run-program.ts';
import { serveWorks } from '../runner/serve-works.ts';

serveWorks([gitWork, programWork]);
