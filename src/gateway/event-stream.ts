/** Takes a stream of server-sent events apart as its bytes come in, whatever their borders. */
export interface EventReader {
  /** The data of each event that these bytes complete. */
  push(bytes: Uint8Array): string[];
  /** The data of an event whose end never came, if there is one. */
  end(): string[];
}

/** An event of more characters than this is skipped: what it says is not known then, and nothing grows without end. */
const longest = 8 * 1024 * 1024;

export function createEventReader(): EventReader {
  const decoder = new TextDecoder();
  let line = '';
  /** Characters of the line so far, those that were not kept included. */
  let length = 0;
  let data: string[] = [];
  /** Characters of the event so far. */
  let size = 0;
  let afterReturn = false;

  const grow = (piece: string): void => {
    length += piece.length;
    size += piece.length;
    line = size > longest ? '' : line + piece;
  };
  const endEvent = (): string[] => {
    const event = data.length > 0 && size <= longest ? [data.join('\n')] : [];
    data = [];
    size = 0;
    return event;
  };
  const endLine = (): string[] => {
    const text = line;
    const empty = length === 0;
    line = '';
    length = 0;
    if (empty) return endEvent();
    if (text.startsWith('data:')) data.push(text.slice(text[5] === ' ' ? 6 : 5));
    return [];
  };
  const read = (text: string): string[] => {
    const events: string[] = [];
    // The two characters of one line end may come in two pieces.
    let from = afterReturn && text.startsWith('\n') ? 1 : 0;
    if (text !== '') afterReturn = text.endsWith('\r');
    const lineEnd = /\r\n|\r|\n/g;
    lineEnd.lastIndex = from;
    for (let match = lineEnd.exec(text); match !== null; match = lineEnd.exec(text)) {
      grow(text.slice(from, match.index));
      events.push(...endLine());
      from = lineEnd.lastIndex;
    }
    grow(text.slice(from));
    return events;
  };
  return {
    push: (bytes) => read(decoder.decode(bytes, { stream: true })),
    end: () => [...read(decoder.decode()), ...(length === 0 ? [] : endLine()), ...endEvent()],
  };
}
