/**
 * Stores part after part, in order, and settles each while the next ones are being stored. Ends when nothing is in
 * progress any more, also after an error: a throw returns the batch, and another process may receive it at once.
 * @throws the error of the first part that failed. Parts behind a part that was not stored are not stored either.
 */
export const storeInParts = async <Part, Stored>(
  parts: readonly Part[],
  store: (part: Part) => Promise<Stored>,
  settle: (stored: Stored) => Promise<void>,
): Promise<Stored[]> => {
  let previous: Promise<unknown> = Promise.resolve();
  const all = parts.map((part) => {
    const storing = previous.then(() => store(part));
    previous = storing;
    return storing.then(async (stored) => {
      await settle(stored);
      return stored;
    });
  });
  await Promise.allSettled(all);
  return Promise.all(all);
};

/** Splits the messages of a batch into parts of a size; without a size, into one part. */
export const partsOf = <Message>(
  messages: readonly Message[],
  size = Math.max(messages.length, 1),
): (readonly Message[])[] =>
  Array.from({ length: Math.ceil(messages.length / size) }, (_, part) =>
    messages.slice(part * size, (part + 1) * size),
  );
