/** What became of the commands of a batch. Deferred: not possible yet, again later. Dead: never possible. */
export type Placed<Command> = {
  done: Command[];
  defer: { command: Command; reason: string }[];
  dead: { command: Command; reason: string }[];
};

/** Groups in the order of first appearance. */
export const groupBy = <Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> => {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
};
