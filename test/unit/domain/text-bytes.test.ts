import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOfText, cutToJsonBytes } from '../../../src/domain/text-bytes.ts';

const texts = fc.string({ unit: fc.constantFrom('a', 'é', '漢', '𝄞', '\ud800', '"', '\n') });

const jsonBytes = (text: string) => Buffer.byteLength(JSON.stringify(text));

describe('a text as UTF-8', () => {
  test('takes as many bytes as Node says', () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(bytesOfText(text)).toBe(Buffer.byteLength(text));
      }),
    );
  });

  test('is cut between two characters, where there would be too many bytes, and else left as it is', () => {
    fc.assert(
      fc.property(texts, fc.nat(40), (text, most) => {
        const cut = cutToJsonBytes(text, most + 2);
        const next = Array.from(text)
          .slice(0, Array.from(cut).length + 1)
          .join('');
        expect(text.startsWith(cut)).toBe(true);
        expect(jsonBytes(cut)).toBeLessThanOrEqual(most + 2);
        expect(cut === text || jsonBytes(next) > most + 2).toBe(true);
      }),
    );
  });
});
