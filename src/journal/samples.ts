import { join } from 'node:path';
import * as v from 'valibot';
import { isolations } from '../domain/request.ts';
import { type Journal, openJournal, readJournal } from './journal.ts';

/** What a cell used at one moment. */
export const sampleSchema = v.object({
  /** Milliseconds since the epoch. */
  at: v.number(),
  cellId: v.string(),
  workflowId: v.string(),
  runtime: v.picklist(isolations),
  /** Bytes, of all processes of the cell. */
  memory: v.number(),
  /** Bytes: what the runtime enforces, else what the host replaces a server at. */
  memoryLimit: v.number(),
  /** Of one processor, per cent, since the sample before; null for the first. */
  cpuPercent: v.nullable(v.number()),
  processes: v.number(),
});

export type Sample = v.InferOutput<typeof sampleSchema>;

/** A sample takes about 200 bytes: fifty cells are remembered for half a day, five for longer than their artifacts. */
const bounds = { segmentBytes: 4 * 1024 * 1024, segments: 12 };

const fileIn = (stateDirectory: string): string => join(stateDirectory, 'samples.jsonl');

export const openSamples = (stateDirectory: string): Journal<Sample> => openJournal(fileIn(stateDirectory), bounds);

/** Every sample since a time, milliseconds since the epoch, the oldest first. */
export const readSamples = (stateDirectory: string, since: number): Promise<Sample[]> =>
  readJournal(fileIn(stateDirectory), sampleSchema, since);
