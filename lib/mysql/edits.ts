type Versioned = { version: number };
type Stored<Edit> = Edit & { id: number };

/** The edits of each stored item, by the id of its row. */
const byRow = <Edit>(edits: readonly Edit[], idOf: (edit: Edit) => number | undefined) =>
  Map.groupBy(
    edits.flatMap((edit): Stored<Edit>[] => {
      const id = idOf(edit);
      return id === undefined ? [] : [{ ...edit, id }];
    }),
    ({ id }) => id,
  );

/** @returns the newest edit of each stored item, with the id of its row */
export const newestOf = <Edit extends Versioned>(
  edits: readonly Edit[],
  idOf: (edit: Edit) => number | undefined,
): Stored<Edit>[] =>
  [...byRow(edits, idOf).values()].map((group) =>
    group.reduce((newest, edit) => (edit.version > newest.version ? edit : newest)),
  );

/** A deletion of a row that was created before the command `before`. */
export type Deletion = { id: number; editedAtMs: number; version: number; before: number };

/**
 * Deletions of stored items in rounds, oldest first, each with one deletion of an item at most. The first one counts, unless it
 * is about an earlier item of this number. A deletion by another program is about the item that is there: nobody
 * knows how far its clock is behind.
 */
export const deletionRounds = <Edit extends Versioned & { editedAtMs: number; epoch?: number | undefined }>(
  edits: readonly Edit[],
  idOf: (edit: Edit) => number | undefined,
): Deletion[][] => {
  const rounds: Deletion[][] = [];
  for (const [id, group] of byRow(edits, idOf)) {
    const once = new Map(group.map((edit) => [edit.version, edit]));
    const ordered = [...once.values()].sort((one, other) => one.version - other.version);
    for (const [i, { editedAtMs, version, epoch }] of ordered.entries()) {
      const deletion = {
        id,
        editedAtMs,
        version,
        before: epoch === undefined ? Number.MAX_SAFE_INTEGER : version,
      };
      rounds[i] = [...(rounds[i] ?? []), deletion];
    }
  }
  return rounds;
};

/**
 * SQL: whether a deletion is about this row. It is not about a row that a later command created: after a loss of Redis its
 * number was given again. Another program's date may lie ahead, and with it the id of its command. Such a row has a version
 * below that id, because a version is never ahead.
 */
export const isMeant = (row: string, before: string) =>
  `(${row}.deleted_at IS NULL AND (${row}.command_id < ${before} OR ${row}.version < ${row}.command_id))`;
