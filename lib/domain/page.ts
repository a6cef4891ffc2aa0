/** The most bytes (UTF-8) of a page as JSON. `respond` sends each page within the 6 MB of a Lambda function's answer. */
export const maxPageBytes = 4_000_000;

/**
 * The items of a page: the first `limit`, or fewer if they exceed {@link maxPageBytes} as JSON. The page
 * always has the first item.
 * @param found the items in their final form, one more than `limit` if there are more
 * @param maxItemBytes the most bytes of one item, if known, so that small pages need not be measured
 * @returns `isCut`: the page has fewer than `limit` items although more were found
 */
export const pageOf = <Item>(
  found: readonly Item[],
  { limit, maxItemBytes = Number.POSITIVE_INFINITY }: { limit: number; maxItemBytes?: number },
): { items: Item[]; hasMore: boolean; isCut: boolean } => {
  const items = found.slice(0, limit);
  const fits = items.length * (maxItemBytes + 1) < maxPageBytes ? items.length : countFitting(items);
  return { items: items.slice(0, fits), hasMore: fits < found.length, isCut: fits < items.length };
};

const countFitting = (items: readonly unknown[]): number => {
  // Two brackets, and a comma before each item except the first.
  let bytes = 2;
  for (const [at, item] of items.entries()) {
    bytes += Buffer.byteLength(JSON.stringify(item)) + (at === 0 ? 0 : 1);
    if (bytes > maxPageBytes && at > 0) return at;
  }
  return items.length;
};
