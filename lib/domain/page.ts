/** What a page's JSON takes at most, in bytes of UTF-8: Lambda answers with no more than 6 MB, escaped. */
export const maxPageBytes = 4_000_000;

/**
 * The items of a page: the first `limit`, or fewer where those would take more than {@link maxPageBytes} as JSON. The
 * first item is always there.
 * @param found items as they are answered, one more than `limit` where there are more
 * @param maxItemBytes what one item takes at most, where that is known: small pages then need not be measured
 * @returns `isCut` when the page ends before `limit` and before the last of `found`
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
  // The brackets; each item then brings a comma or, the first, nothing.
  let bytes = 2;
  for (const [at, item] of items.entries()) {
    bytes += Buffer.byteLength(JSON.stringify(item)) + (at === 0 ? 0 : 1);
    if (bytes > maxPageBytes && at > 0) return at;
  }
  return items.length;
};
