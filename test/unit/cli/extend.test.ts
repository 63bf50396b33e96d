import { expect, test } from 'vitest';
import { moreFrom } from '../../../src/cli/commands/extend.ts';
import { parseExtend } from '../../../src/domain/message-inputs.ts';

test.for([
  [{ time: '60000' }, { timeout: 60_000 }],
  [{ time: '15m' }, { timeout: 900_000 }],
  [{ tokens: '5000' }, { tokens: 5000 }],
] as const)('%j extends by what a cell understands, milliseconds where there is no unit', ([flags, more]) => {
  expect(parseExtend(moreFrom(flags))).toEqual(more);
});
