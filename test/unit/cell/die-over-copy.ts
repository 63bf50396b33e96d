import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { copyWork } from '../../../src/cell/copy-work.ts';

/** Begins to copy work, and is killed as soon as something of the copy is there: its files take many more turns of the loop than that. */
const [from = '', to = ''] = process.argv.slice(2);
void copyWork(from, to);
while (readdirSync(dirname(to)).length === 1) await setImmediate();
process.kill(process.pid, 'SIGKILL');
