import { parentPort, workerData } from 'node:worker_threads';
import { builtInModels } from './built-in-models.ts';
import type { ProvidersWanted } from './models.ts';

/** Answers the part of the built-in table that is wanted; null where there is no table. */
const { ids, variables } = workerData as ProvidersWanted; // `models.ts` starts this thread, and nobody else
const table = await builtInModels();
const wanted =
  table === null
    ? null
    : Object.entries(table).filter(([id, { env }]) => ids.includes(id) || env.some((name) => variables.includes(name)));
parentPort?.postMessage(wanted === null ? null : Object.fromEntries(wanted));
