/** How many bytes a text takes as UTF-8. By hand: workflows have no `Buffer`. */
export function bytesOfText(text: string): number {
  let bytes = 0;
  for (const character of text) bytes += bytesOf(character);
  return bytes;
}

/** The beginning of a text whose JSON takes at most so many bytes, cut between two characters; a text that fits as it is. */
export function cutToJsonBytes(text: string, most: number): string {
  let end = 0;
  let bytes = bytesOfText('""');
  for (const character of text) {
    bytes += bytesOfText(JSON.stringify(character)) - bytesOfText('""');
    if (bytes > most) return text.slice(0, end);
    end += character.length;
  }
  return text;
}

function bytesOf(character: string): number {
  const codePoint = character.codePointAt(0) ?? 0;
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}
