/** A message as it was accepted, or as a store holds it. */
export type Kept = { messageNumber: number; body: string; createdAtMs: number; senderName?: string };

export type Difference = {
  missing: number;
  twice: number;
  foreign: number;
  changed: number;
  examples: string[];
};

const EXAMPLES = 5;

export const noDifference = (): Difference => ({
  missing: 0,
  twice: 0,
  foreign: 0,
  changed: 0,
  examples: [],
});

export const differs = ({ missing, twice, foreign, changed }: Difference): boolean =>
  missing + twice + foreign + changed > 0;

const sameContent = (accepted: Kept, found: Kept) =>
  accepted.body === found.body &&
  accepted.createdAtMs === found.createdAtMs &&
  (found.senderName === undefined || accepted.senderName === found.senderName);

/**
 * Adds the differences between the accepted messages of a chat and those of a store.
 * @param where names store and chat in the examples
 */
export const compareChat = (
  difference: Difference,
  where: string,
  accepted: readonly Kept[],
  found: readonly Kept[],
): void => {
  const note = (kind: 'missing' | 'twice' | 'foreign' | 'changed', messageNumber: number) => {
    difference[kind] += 1;
    if (difference.examples.length < EXAMPLES)
      difference.examples.push(`${where}, message ${messageNumber}: ${kind}`);
  };
  const expected = new Map(accepted.map((message) => [message.messageNumber, message]));
  const seen = new Set<number>();
  for (const message of found) {
    const wanted = expected.get(message.messageNumber);
    if (seen.has(message.messageNumber)) note('twice', message.messageNumber);
    else if (wanted === undefined) note('foreign', message.messageNumber);
    else if (!sameContent(wanted, message)) note('changed', message.messageNumber);
    seen.add(message.messageNumber);
  }
  for (const number of expected.keys()) if (!seen.has(number)) note('missing', number);
};

/** Whether the numbers are 1, 2, 3, … in the order of the messages. */
export const isNumberedInOrder = (accepted: readonly Kept[]): boolean =>
  accepted.every(({ messageNumber }, index) => messageNumber === index + 1);
