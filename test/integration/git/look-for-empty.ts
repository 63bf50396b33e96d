import { readdirSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import * as v from 'valibot';

/** Looks into a directory again and again, and says so once it finds it empty. */
const { path, over } = v.parse(v.object({ path: v.string(), over: v.instance(Int32Array) }), workerData);
parentPort?.postMessage('looking');
while (Atomics.load(over, 0) === 0 && readdirSync(path).length > 0);
parentPort?.postMessage(Atomics.load(over, 0) === 0 ? 'empty' : 'never empty');
