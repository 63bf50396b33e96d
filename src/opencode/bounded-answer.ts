/** The server of a cell said more at once than its worker reads. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge';
}

const mebibyte = 1024 ** 2;

/**
 * What is read of one answer, bytes. OpenCode keeps 50 KiB of what a tool says, so a session of more than a thousand full ones fits.
 * As JavaScript values JSON takes up to 22 times its size (`[{},{},…]`), which is what the heap of a worker has room for just about.
 */
export const largestAnswer = 64 * mebibyte;

/**
 * And of one event, up to the piece in which it ends: with each piece that comes, the client looks through all that it has of an event, which
 * takes seconds from here on. A stream that breaks for it is opened again, and the session read then, so nothing is missed.
 */
export const largestEvent = 8 * mebibyte;

/** Has the reader of an answer fail when it is too large. */
export const boundedAnswer = (response: Response): Response =>
  counted(response, 'answered with', largestAnswer, (before, chunk) => before + chunk.length);

/** Has the reader of a stream of events, which has no end, fail at one that is too large. */
export const boundedEvents = (response: Response): Response =>
  counted(response, 'sent an event of', largestEvent, (before, chunk) => {
    const end = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).lastIndexOf('\n\n');
    return end === -1 ? before + chunk.length : chunk.length - end;
  });

function counted(
  response: Response,
  what: string,
  largest: number,
  count: (before: number, chunk: Uint8Array) => number,
): Response {
  let bytes = 0;
  const counting = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes = count(bytes, chunk);
      if (bytes <= largest) controller.enqueue(chunk);
      else controller.error(new AnswerTooLarge(`the server of the cell ${what} more than ${largest / mebibyte} MiB`));
    },
  });
  return response.body === null ? response : new Response(response.body.pipeThrough(counting), response);
}
