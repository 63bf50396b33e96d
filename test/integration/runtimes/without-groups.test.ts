import { describe } from 'vitest';
import { createBubblewrapRuntime } from '../../../src/runtimes/bubblewrap.ts';
import { cellUnderTest } from '../../contracts/cell-under-test.ts';
import { confinementContract } from '../../contracts/runtime-confinement.contract.ts';

describe('bubblewrap on a host without control groups', () => {
  confinementContract(() => cellUnderTest(createBubblewrapRuntime), undefined);
});
