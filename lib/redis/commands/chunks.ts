/** Items per script call, which take some milliseconds of the server's time. */
const SIZE = 500;

export const chunks = function* <Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let from = 0; from < items.length; from += SIZE) yield items.slice(from, from + SIZE);
};
