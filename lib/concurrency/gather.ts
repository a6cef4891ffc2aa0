type Waiting<Item, Result> = {
  item: Item;
  resolve: (result: Result | PromiseLike<Result>) => void;
  reject: (error: unknown) => void;
};

/**
 * Returns a function that makes one call for all items of one turn of the event loop.
 * @param callForAll gets at most `size` items and returns a result for each, in their order. Its error is the
 * error of all of them.
 */
export const gather = <Item, Result>(
  callForAll: (items: readonly Item[]) => Promise<readonly (Result | PromiseLike<Result>)[]>,
  { size }: { size: number },
): ((item: Item) => Promise<Result>) => {
  let waiting: Waiting<Item, Result>[] = [];

  const send = async (part: readonly Waiting<Item, Result>[]) => {
    try {
      const results = await callForAll(part.map(({ item }) => item));
      part.forEach(({ resolve, reject }, index) => {
        const result = results[index];
        if (result === undefined) reject(new Error(`${part.length} items have ${results.length} results`));
        else resolve(result);
      });
    } catch (error) {
      for (const { reject } of part) reject(error);
    }
  };

  const sendAll = () => {
    const all = waiting;
    waiting = [];
    for (let from = 0; from < all.length; from += size) void send(all.slice(from, from + size));
  };

  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(sendAll);
      waiting.push({ item, resolve, reject });
    });
};
