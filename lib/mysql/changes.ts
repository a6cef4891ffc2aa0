import type { CommandContract } from '#lib/contracts/commands/command.ts';
import { type Change, changeTypeOf, isDeletion } from '#lib/domain/change.ts';
import { type Database, placeholders, tuples } from './connection/database.ts';
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

const findApplicationIds = async (
  database: Database,
  tokens: ReadonlySet<string>,
): Promise<Map<string, number>> => {
  const rows = await database.select(
    `SELECT id, token FROM applications WHERE token IN (${placeholders(tokens.size)})`,
    [...tokens],
  );
  return new Map(rows.map((row) => [row.token, row.id]));
};

/** Inserts rows that are missing. The applications of the changes are stored. */
const insertRows = async (transaction: Database, changes: readonly Change[]): Promise<void> => {
  if (changes.length === 0) return;
  const ids = await findApplicationIds(transaction, new Set(changes.map(({ token }) => token)));
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

/** The feeds of applications: which change has which number. */
export const createChanges = (database: Database) => ({
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
