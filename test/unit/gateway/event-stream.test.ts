import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createEventReader } from '../../../src/gateway/event-stream.ts';

/** Feeds the bytes of a text in pieces that end at the given places. */
function readInPieces(text: string, cuts: readonly number[]): string[] {
  const bytes = new TextEncoder().encode(text);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((one, other) => one - other);
  const reader = createEventReader();
  const events: string[] = [];
  let from = 0;
  for (const end of ends) {
    events.push(...reader.push(bytes.subarray(from, end)));
    from = end;
  }
  return [...events, ...reader.end()];
}

const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
const dataLine = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll(/[\r\n]/g, '·'));
const other = fc.constantFrom('', ': a comment', 'event: delta', 'id: 7', 'retry: 10', 'database: no');

test('the data of every event is read, wherever the pieces of the stream end', () => {
  const event = fc.record({ lines: fc.array(dataLine, { minLength: 1, maxLength: 3 }), before: other });
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 8 }),
      lineEnd,
      fc.array(fc.nat(), { maxLength: 30 }),
      (events, end, cuts) => {
        const text = events
          .map(({ lines, before }) =>
            [...(before === '' ? [] : [before]), ...lines.map((line) => `data: ${line}`), '', '']
              .join(end)
              .slice(0, -end.length),
          )
          .map((entry) => entry + end)
          .join('');
        expect(readInPieces(text, cuts)).toEqual(events.map(({ lines }) => lines.join('\n')));
      },
    ),
    { numRuns: 500 },
  );
});

test('the space after the colon may be missing, and a second one belongs to the data', () => {
  expect(readInPieces('data:one\n\ndata:  two\n\n', [])).toEqual(['one', ' two']);
});

test('an event whose end never came is read when the stream is over', () => {
  expect(readInPieces('data: {"usage":1}\n', [])).toEqual(['{"usage":1}']);
  expect(readInPieces('data: {"usage":1}', [])).toEqual(['{"usage":1}']);
  expect(readInPieces(': nothing\n', [])).toEqual([]);
});

test('an event that is too long is skipped, and the next one is read', () => {
  const reader = createEventReader();
  const piece = new TextEncoder().encode('x'.repeat(1024 * 1024));
  reader.push(new TextEncoder().encode('data: '));
  for (let count = 0; count < 9; count += 1) expect(reader.push(piece)).toEqual([]);
  expect(reader.push(new TextEncoder().encode('\n\ndata: short\n\n'))).toEqual(['short']);
});
