import type { CommandContract } from '#lib/contracts/commands/command.ts';
import { type Change, changeTypeOf, isDeletion, numberUpTo, toChangedItem } from '#lib/domain/change.ts';
import type { CounterReference } from '#lib/domain/reference.ts';
import { findApplicationIds } from './application-ids.ts';
import { type Database, tuples } from './connection/database.ts';
import { writeHandled } from './progress.ts';

/** A stored command of this API. Commands of other programs have no epoch, and get their numbers from settling. */
type Numbered = {
  token: string;
  chatNumber?: number | undefined;
  messageNumber?: number | undefined;
  deleted?: true | null | undefined;
  isDeleted?: boolean;
  commandId: number;
  epoch?: number | undefined;
};

/** Inserts rows that are missing. The applications of the changes are stored. */
const insertRows = async (transaction: Database, changes: readonly Change[]): Promise<void> => {
  if (changes.length === 0) return;
  const ids = await findApplicationIds(transaction, [...new Set(changes.map(({ token }) => token))]);
  const rows = changes.flatMap(({ token, changeNumber, type, chatNumber = 0, messageNumber = 0 }) => {
    const id = ids.get(token);
    return id === undefined ? [] : [[id, changeNumber, type, chatNumber, messageNumber]];
  });
  if (rows.length === 0) return;
  await transaction.write(
    `INSERT INTO changes (application_id, number, type, chat_number, message_number)
     VALUES ${tuples(rows.length, 5)} ON DUPLICATE KEY UPDATE number = VALUES(number)`,
    rows.flat(),
  );
};

/** Inserts the changes of stored commands under their ids, in the transaction that writes the rows of their items. */
export const insertChanges = (
  transaction: Database,
  contract: Pick<CommandContract, 'item' | 'creates'>,
  stored: readonly Numbered[],
): Promise<void> =>
  insertRows(
    transaction,
    stored
      .filter(({ epoch }) => epoch !== undefined)
      .map(({ token, chatNumber, messageNumber, commandId, ...command }) => ({
        type: changeTypeOf(contract, isDeletion(command)),
        token,
        ...(chatNumber === undefined ? {} : { chatNumber }),
        ...(messageNumber === undefined ? {} : { messageNumber }),
        changeNumber: commandId,
      })),
  );

/**
 * A feed and a position in it, as MySQL knows them. `applicationId` is undefined while the application is not stored.
 * `isGone`: the position is in the interval of an opening, so it may have seen changes that Redis has lost. `isComplete`:
 * the number `upTo` is in no interval.
 */
export type FeedPlace = {
  applicationId: number | undefined;
  isStored: boolean;
  isDeleted: boolean;
  isGone: boolean;
  isComplete: boolean;
};

/** Whether a number is in the interval of an opening after this one. */
const inInterval = 'EXISTS (SELECT 1 FROM epochs WHERE start > ? AND found < ? AND number > ?)';

/** The feeds of applications: which change has which number. */
export const createChanges = (database: Database) => ({
  /**
   * Looks a position up. @param since the position, if any @param opening the last one before the position was given @param upTo
   * the end of the page
   */
  place: async (
    { token, chatNumber }: CounterReference,
    { since, opening, upTo }: { since: number | undefined; opening: number; upTo: number },
  ): Promise<FeedPlace> => {
    const position = numberUpTo(since ?? upTo);
    const [row] = await database.select(
      `SELECT a.id, a.deleted_at IS NOT NULL AS deleted, c.id AS chat_id, c.deleted_at IS NOT NULL AS chat_deleted,
         ${inInterval} AS gone, ${inInterval} AS incomplete
       FROM (SELECT 1 AS one) one LEFT JOIN applications a ON a.token = ?
       LEFT JOIN chats c ON c.token = a.token AND c.number = ?`,
      [position, position, opening, upTo, upTo, 0, token, chatNumber ?? 0],
    );
    return {
      applicationId: row?.id ?? undefined,
      isStored: (chatNumber === undefined ? row?.id : row?.chat_id) != null,
      isDeleted: row?.deleted === 1 || row?.chat_deleted === 1,
      isGone: row?.gone === 1,
      isComplete: row?.incomplete !== 1,
    };
  },

  /** The changes of an application or of one of its chats: above `since` and up to `upTo`, lowest first, at most `count`. */
  page: async (
    applicationId: number,
    { token, chatNumber }: CounterReference,
    { since, upTo, count }: { since: number; upTo: number; count: number },
  ): Promise<Change[]> => {
    const [ofChat, chats] = chatNumber === undefined ? ['', []] : [' AND chat_number = ?', [chatNumber]];
    const rows = await database.select(
      `SELECT number, type, chat_number, message_number FROM changes
       WHERE application_id = ?${ofChat} AND number > ? AND number <= ? ORDER BY number LIMIT ?`,
      [applicationId, ...chats, since, upTo, count],
    );
    return rows.map((row) => ({
      ...toChangedItem(row.type, token, row.chat_number, row.message_number),
      changeNumber: row.number,
    }));
  },

  /**
   * Inserts changes under numbers that settling issued. Those of Redis' clock raise the witness, so that a loss of the clock is
   * noticed. @param queue of the commands
   */
  insert: (queue: string, issued: readonly (Change & { movesWitness: boolean })[]): Promise<void> =>
    database.transaction(async (transaction) => {
      await insertRows(transaction, issued);
      const highestId = Math.max(
        0,
        ...issued.map(({ movesWitness, changeNumber }) => (movesWitness ? changeNumber : 0)),
      );
      await writeHandled(transaction, { queue, highestId, reserved: [], releasedIds: [] });
    }),
});

export type Changes = ReturnType<typeof createChanges>;
