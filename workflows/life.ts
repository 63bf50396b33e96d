import type { CellOwner } from '../activities/contract.ts';
import type { ParsedCellRequest } from '../src/domain/request.ts';
import type { CellRecord } from './cell-record.ts';
import type { Inbox } from './inbox.ts';
import type { Work } from './report.ts';
import type { Stoppable } from './stop.ts';

/** What the parts of one run share. */
export interface Life {
  readonly owner: CellOwner;
  readonly request: ParsedCellRequest;
  readonly record: CellRecord;
  readonly stoppable: Stoppable;
  readonly inbox: Inbox;
  readonly work: Work;
}
