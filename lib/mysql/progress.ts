import type { CommandContract } from '#lib/contracts/commands/command.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { numberUpTo } from '#lib/domain/change.ts';
import { limits } from '#lib/domain/limits.ts';
import { type Database, placeholders, toDateTime, tuples, type Value } from './connection/database.ts';

/** An assigned number: of a chat or of a message; for an application, its token alone. */
type Place = { token: string; chatNumber?: number | undefined; messageNumber?: number | undefined };
export type Reservation = Place & { commandId: number };

/** The progress of a queue's consumer. */
export type QueueState = {
  /** Number of the newest barrier that passed, 0 before the first. */
  epoch: number;
  /** The highest id among the commands that are stored, deferred or dead: the witness. */
  highestId: number;
};

/** The epochs that MySQL knows about a queue: the newest one whose barrier passed, and the newest that began; or 0. */
export type QueueEpochs = { passed: number; newest: number };

/** A command as far as its records need it. Commands of other programs have no epoch. */
export type Handleable = Place & { commandId: number; epoch?: number | undefined };

/** The records of a batch that a recovery needs besides its rows. Empty lists and 0 write nothing. */
export type Handled = {
  queue: string;
  /** The highest id of the batch, or the present for commands of other programs; 0 without any. */
  highestId: number;
  /** Creations that are deferred or dead. */
  reserved: readonly Reservation[];
  /** Commands that are stored or dropped now. */
  releasedIds: readonly number[];
};

/** The distance of an opening from all numbers before it: clocks of two machines may differ that much. */
const OPENING_MICROS = limits.openingMs * 1_000;

const placeValues = ({ token, chatNumber = 0, messageNumber = 0 }: Place): Value[] => [
  token,
  chatNumber,
  messageNumber,
];

/** Deletes the reservations of these commands. Usually there are none, and one short query shows that. */
const release = async (database: Database, commandIds: readonly number[]): Promise<void> => {
  if (commandIds.length === 0) return;
  const [newest] = await database.select('SELECT MAX(id) AS id FROM reservations', []);
  if (newest?.id === null) return;
  await database.write(
    `DELETE FROM reservations WHERE command_id IN (${placeholders(commandIds.length)})`,
    commandIds,
  );
};

/** Writes the records of a batch. Empty lists and 0 write nothing. */
export const writeHandled = async (
  database: Database,
  { queue, highestId, reserved, releasedIds }: Handled,
): Promise<void> => {
  if (reserved.length > 0) {
    await database.write(
      `INSERT INTO reservations (token, chat_number, number, command_id) VALUES ${tuples(reserved.length, 4)}
       ON DUPLICATE KEY UPDATE number = VALUES(number)`,
      reserved.flatMap((one) => [...placeValues(one), one.commandId]),
    );
  }
  await release(database, releasedIds);
  if (highestId > 0) {
    await database.write(
      `INSERT INTO queues (queue, highest_id) VALUES (?, ?)
       ON DUPLICATE KEY UPDATE highest_id = GREATEST(highest_id, VALUES(highest_id))`,
      [queue, highestId],
    );
  }
};

/**
 * Records what a batch has handled, in the transaction that stores its rows: the witness and, for creations, the numbers of
 * deferred and dead commands. Commands of other programs reserve no numbers. They move the witness to the present: Redis
 * raises its clock to that once they are settled, so a loss of their effects in Redis is noticed.
 */
export const recordHandled = (
  database: Database,
  { queue, creates }: CommandContract,
  batch: readonly Handleable[],
  { stored, deferred, dead, dropped = [] }: Outcome<Handleable>,
): Promise<void> => {
  let highestId = 0;
  for (const { commandId, epoch } of batch) {
    const id = epoch === undefined ? Date.now() * 1000 : commandId;
    if (id > highestId) highestId = id;
  }
  const refused = [...deferred, ...dead].map(({ command }) => command);
  return writeHandled(database, {
    queue,
    highestId,
    reserved: creates === undefined ? [] : refused.filter(({ epoch }) => epoch !== undefined),
    releasedIds: creates === undefined ? [] : [...stored, ...dropped].map(({ commandId }) => commandId),
  });
};

/** The highest assigned number; undefined if MySQL does not know the item. */
type Highest = number | 'deleted' | undefined;

/** The state in MySQL from which a recovery learns the assigned numbers: epochs, witnesses and reservations. */
export const createRecoveryState = (database: Database) => {
  /** The highest of two optional numbers; undefined when neither the row nor a reservation exists. */
  const highest = async (sql: string, values: readonly Value[]): Promise<Highest> => {
    const [row] = await database.select(sql, values);
    if (row?.deleted === 1) return 'deleted';
    if (row === undefined || (row.in_rows === null && row.in_reservations === null)) return undefined;
    return Math.max(Number(row.in_rows ?? 0), Number(row.in_reservations ?? 0));
  };

  return {
    /** @returns the number of a new epoch, higher than every number before */
    beginEpoch: (server: string): Promise<number> =>
      database.onOneConnection(async (connection) => {
        await connection.write('INSERT INTO epochs (server, begun_at) VALUES (?, ?)', [
          server,
          toDateTime(Date.now()),
        ]);
        const [row] = await connection.select('SELECT LAST_INSERT_ID() AS number', []);
        return Number(row?.number);
      }),

    /** @returns the highest number of an epoch, 0 before the first */
    newestEpoch: async (): Promise<number> => {
      const [row] = await database.select('SELECT MAX(number) AS newest FROM epochs', []);
      return Number(row?.newest ?? 0);
    },

    /** Makes `number` an epoch that MySQL knows, after MySQL was restored to a time before it. */
    adoptEpoch: async (number: number, server: string): Promise<void> => {
      await database.write(
        'INSERT INTO epochs (number, server, begun_at) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE server = server',
        [number, server, toDateTime(Date.now())],
      );
    },

    /**
     * Records the interval of an opening: change numbers above `found` and below `start` are not continued.
     * @param above the highest number that is known
     * @returns `start`, also a second above all earlier ones and the clock of MySQL; undefined once a later epoch has begun
     */
    recordOpening: (
      epoch: number,
      { found, above }: { found: number; above: number },
    ): Promise<number | undefined> =>
      database.transaction(async (transaction) => {
        // The locks let a later epoch begin only after the interval is recorded, so its own one begins behind it.
        const newest = await transaction.select('SELECT number FROM epochs WHERE number >= ? FOR UPDATE', [
          epoch,
        ]);
        if (newest.some(({ number }) => number > epoch)) return undefined;
        const [row] = await transaction.select(
          'SELECT MAX(start) AS highest, UNIX_TIMESTAMP(NOW(6)) AS seconds FROM epochs',
          [],
        );
        const now = Math.ceil(Number(row?.seconds) * 1_000_000);
        const start = numberUpTo(Math.max(above, Number(row?.highest ?? 0), now) + OPENING_MICROS);
        await transaction.write(
          'UPDATE epochs SET found = LEAST(COALESCE(found, ?), ?), start = ? WHERE number = ?',
          [found, found, start, epoch],
        );
        return start;
      }),

    /** @returns whether MySQL has an application, and thus assigned numbers */
    hasNumbers: async (): Promise<boolean> =>
      (await database.select('SELECT id FROM applications LIMIT 1', [])).length > 0,

    /** @returns the state of every queue that has one, by name */
    queues: async (): Promise<Map<string, QueueState>> => {
      const rows = await database.select('SELECT queue, epoch, highest_id FROM queues', []);
      return new Map(
        rows.map((row) => [row.queue, { epoch: Number(row.epoch), highestId: Number(row.highest_id) }]),
      );
    },

    epochs: async (queue: string): Promise<QueueEpochs> => {
      const [row] = await database.select(
        `SELECT (SELECT epoch FROM queues WHERE queue = ?) AS passed, (SELECT MAX(number) FROM epochs) AS newest`,
        [queue],
      );
      return { passed: Number(row?.passed ?? 0), newest: Number(row?.newest ?? 0) };
    },

    /** Notes that the barrier of an epoch passed this queue: everything before it is stored, dead or deferred. */
    passBarrier: async (queue: string, epoch: number): Promise<void> => {
      await database.write(
        'INSERT INTO queues (queue, epoch) VALUES (?, ?) ON DUPLICATE KEY UPDATE epoch = GREATEST(epoch, VALUES(epoch))',
        [queue, epoch],
      );
    },

    /** Records commands that were handled without a row. */
    record: (handled: Handled): Promise<void> =>
      database.transaction((transaction) => writeHandled(transaction, handled)),

    /** Deletes the reservations of these commands. Their numbers no longer count as assigned. */
    release: (commandIds: readonly number[]): Promise<void> => release(database, commandIds),

    /** @returns whether any command is deferred or dead */
    hasReservations: async (): Promise<boolean> =>
      (await database.select('SELECT id FROM reservations LIMIT 1', [])).length > 0,

    /** @returns the highest assigned chat number of an application; undefined if MySQL does not know the application */
    highestChatNumber: (token: string): Promise<Highest> =>
      highest(
        `SELECT
           (SELECT COALESCE((SELECT c.number FROM chats c WHERE c.application_id = a.id
              ORDER BY c.application_id DESC, c.number DESC LIMIT 1), 0)
            FROM applications a WHERE a.token = ?) AS in_rows,
           (SELECT MAX(r.chat_number) FROM reservations r WHERE r.token = ?) AS in_reservations,
           (SELECT a.deleted_at IS NOT NULL FROM applications a WHERE a.token = ?) AS deleted`,
        [token, token, token],
      ),

    /** @returns the highest assigned message number of a chat; undefined if MySQL does not know the chat */
    highestMessageNumber: (token: string, chatNumber: number): Promise<Highest> =>
      highest(
        `SELECT
           (SELECT COALESCE((SELECT m.number FROM messages m WHERE m.chat_id = c.id
              ORDER BY m.chat_id DESC, m.number DESC LIMIT 1), 0)
            FROM chats c WHERE c.token = ? AND c.number = ?) AS in_rows,
           (SELECT MAX(r.number) FROM reservations r WHERE r.token = ? AND r.chat_number = ?) AS in_reservations,
           (SELECT c.deleted_at IS NOT NULL FROM chats c WHERE c.token = ? AND c.number = ?) AS deleted`,
        [token, chatNumber, token, chatNumber, token, chatNumber],
      ),

    /** @returns at most `count` reservations after the row `afterId`, in the order of their ids, for background verification */
    reservations: async (afterId: number, count: number): Promise<(Reservation & { id: number })[]> => {
      const rows = await database.select(
        `SELECT id, token, chat_number, number, command_id FROM reservations
         WHERE id > ? ORDER BY id LIMIT ?`,
        [afterId, count],
      );
      return rows.map((row) => ({
        id: Number(row.id),
        token: row.token,
        ...(row.chat_number === 0 ? {} : { chatNumber: row.chat_number }),
        ...(row.number === 0 ? {} : { messageNumber: row.number }),
        commandId: Number(row.command_id),
      }));
    },
  };
};

export type RecoveryState = ReturnType<typeof createRecoveryState>;
