/** As `Promise.all`, but when one fails the others have come to their end, too, before this rejects: nothing goes on behind its back. */
export async function allOf<const T extends readonly Promise<unknown>[]>(
  promises: T,
): Promise<{ -readonly [Key in keyof T]: Awaited<T[Key]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}
