import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import type { IsolationName, ParsedCellRequest } from '../domain/request.ts';
import { type Journal, type Line, openJournal, readJournal } from './journal.ts';

/** A run, as Temporal names it: who started it stands in its history. */
export interface Run {
  workflowId: string;
  runId: string;
}

/** What happened. No event holds a prompt, a secret, or what an agent said. */
export type AuditEvent =
  | ({
      event: 'started';
      cellId: string;
      /** See `requestDigest`. */
      request: string;
      repository: string | null;
      branch: string;
      runtime: IsolationName;
      model: string;
      agentType: string;
    } & Run)
  | { event: 'granted'; what: 'model'; cellId: string; models: string[]; tokenBudget: number }
  | { event: 'granted'; what: 'budget'; cellId: string; tokenBudget: number }
  | { event: 'granted'; what: 'network'; mark: string; targets: string[] }
  | ({ event: 'refused'; what: 'request' | 'repository'; cellId: string; field: string; why: string } & Run)
  /** `count` are those of the last minute that were refused for the same reason. */
  | { event: 'refused'; what: 'model-request'; cellId: string; code: string; why: string; count: number }
  | { event: 'reaped'; resource: string; cellId: string; why: string; released: boolean }
  /** All that the cell owned was released. */
  | ({ event: 'ended'; cellId: string; why: string; released: string[] } & Run)
  /** Processes were ended, of the cell that they are marked by; a server that was booted ahead has a mark of its own. */
  | { event: 'killed'; mark: string; processes: number }
  | { event: 'alert'; what: 'memory'; cellId: string; memory: number; limit: number; above: boolean }
  /** Its files took more than they may, and it was ended for that. */
  | { event: 'alert'; what: 'disk'; cellId: string; disk: number; limit: number }
  | { event: 'worker' | 'supervisor'; state: 'started' | 'stopped'; version: string; runtime?: IsolationName };

/** A line of the audit log. */
export type AuditEntry = AuditEvent & Line & { by: 'worker' | 'supervisor'; pid: number };

/** What a host has done and refused. */
export interface AuditLog {
  /** Never rejects: what cannot be written is told to `lost`, and the work goes on. */
  record(event: AuditEvent): Promise<void>;
  /** Removes what is older, milliseconds. */
  expire(maximumAgeMs: number): Promise<void>;
}

const bounds = { segmentBytes: 8 * 1024 * 1024, segments: 12 };

/** The longest reason, characters: a message may repeat what somebody wrote. */
const longestReason = 500;

export const auditFile = (stateDirectory: string): string => join(stateDirectory, 'audit.jsonl');

/** Opens the audit log of a state directory for one of its writers. */
export function openAudit(
  stateDirectory: string,
  { by, lost = () => undefined }: { by: AuditEntry['by']; lost?: (error: unknown) => void },
): AuditLog {
  const journal: Journal<AuditEntry> = openJournal(auditFile(stateDirectory), bounds);
  return {
    async record(event) {
      const entry = { at: Date.now(), by, pid: process.pid, ...event };
      if ('why' in entry) entry.why = entry.why.slice(0, longestReason).toWellFormed();
      await journal.append([entry]).catch(lost);
    },
    expire: (maximumAgeMs) => journal.expire(maximumAgeMs).catch(lost),
  };
}

/** What readers know of a line: later versions may write others. */
export const auditLine = v.looseObject({ at: v.number(), by: v.string(), pid: v.number(), event: v.string() });
export type AuditLine = v.InferOutput<typeof auditLine>;

/** Every line since a time, milliseconds since the epoch, the oldest first. */
export const readAudit = (stateDirectory: string, since: number): Promise<AuditLine[]> =>
  readJournal(auditFile(stateDirectory), auditLine, since);

/** SHA-256 of a parsed request as JSON with sorted names: the same request has the same digest, and does not show what it asks for. */
export function requestDigest(request: ParsedCellRequest): string {
  return createHash('sha256')
    .update(JSON.stringify(request, (_, value: unknown) => sorted(value)))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
