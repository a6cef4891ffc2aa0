/** A map of bounded size that drops entries without recent use. */
export type BoundedMap<Key, Value> = {
  get: (key: Key) => Value | undefined;
  set: (key: Key, value: Value) => void;
};

/**
 * Holds at most `maxEntries`, in two generations. A read moves its entry to the young generation. When that one is full,
 * it replaces the old generation. Unlike a list in order of use, a read costs one look-up.
 */
export const createBoundedMap = <Key, Value>(maxEntries: number): BoundedMap<Key, Value> => {
  let young = new Map<Key, Value>();
  let old = new Map<Key, Value>();
  const set = (key: Key, value: Value) => {
    if (young.size >= maxEntries / 2 && !young.has(key)) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  };
  return {
    set,
    get: (key) => {
      const found = young.get(key);
      if (found !== undefined) return found;
      const older = old.get(key);
      if (older !== undefined) set(key, older);
      return older;
    },
  };
};
