import type { Read } from '#lib/contracts/commands/command.ts';
import type { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import type { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import {
  type Database,
  keepWhatIsThere,
  placeholders,
  type Row,
  toDateTime,
  tuples,
} from './connection/database.ts';
import { handledOf, ofCreation, recordHandled } from './progress.ts';
import { findUserNames } from './users.ts';

type Creation = Read<typeof createApplicationCommand>;
type Edit = Read<typeof updateApplicationCommand>;

export type ApplicationRow = { token: string; name: string; chatsCount: number; creatorId: number };

/** Inserts missing applications. The rows then show which command each token belongs to. */
const insertApplications = async <Command extends Creation>(
  database: Database,
  candidates: readonly Command[],
): Promise<Pick<Outcome<Command>, 'stored' | 'dead'>> => {
  if (candidates.length === 0) return { stored: [], dead: [] };
  await database.write(
    `INSERT INTO applications (token, name, created_at, updated_at, creator_id, command_id, version)
     VALUES ${tuples(candidates.length, 7)} ${keepWhatIsThere}`,
    candidates.flatMap((command) => {
      const at = toDateTime(command.createdAtMs);
      const { token, name, creatorId, commandId, version } = command;
      return [token, name, at, at, creatorId, commandId, version];
    }),
  );
  const rows = await database.select(
    `SELECT token, name, creator_id, command_id, version FROM applications
     WHERE token IN (${placeholders(candidates.length)})`,
    candidates.map(({ token }) => token),
  );
  const owners = new Map(rows.map((row) => [row.token, row]));
  const isOurs = (command: Creation): boolean => {
    const row = owners.get(command.token);
    // Two commands of other programs may share an id, which is their date. Then their contents distinguish them.
    return (
      row?.command_id === command.commandId &&
      row.creator_id === command.creatorId &&
      (row.version !== row.command_id || row.name === command.name)
    );
  };
  return {
    stored: candidates.filter(isOurs),
    dead: candidates
      .filter((command) => !isOurs(command))
      .map((command) => ({ command, reason: 'the token belongs to another command' })),
  };
};

/**
 * The rows exist and are never deleted, so the insert always takes its second branch. `version` comes last, because
 * MySQL evaluates assignments from left to right.
 */
const renameApplications = async (
  database: Database,
  commands: readonly Edit[],
  rows: ReadonlyMap<string, Row>,
): Promise<void> => {
  if (commands.length === 0) return;
  await database.write(
    `INSERT INTO applications (id, token, name, created_at, updated_at, creator_id, command_id, version)
     VALUES ${tuples(commands.length, 8)}
     ON DUPLICATE KEY UPDATE
       name = IF(VALUES(version) > version, VALUES(name), name),
       updated_at = IF(VALUES(version) > version, VALUES(updated_at), updated_at),
       version = GREATEST(version, VALUES(version))`,
    commands.flatMap(({ token, name, editedAtMs, version }) => {
      const row = rows.get(token);
      const createdAt = toDateTime(row?.created_at.getTime());
      return [
        row?.id,
        token,
        name,
        createdAt,
        toDateTime(editedAtMs),
        row?.creator_id,
        row?.command_id,
        version,
      ];
    }),
  );
};

export const createApplications = (database: Database) => ({
  /** Inserts missing applications. A command whose token belongs to another command is dead. */
  insert: async <Command extends Creation>(batch: readonly Command[]): Promise<Outcome<Command>> => {
    const outcome: Outcome<Command> = { stored: [], deferred: [], dead: [] };
    const users = await findUserNames(
      database,
      batch.map(({ creatorId }) => creatorId),
    );
    const candidates = batch.filter((command) => {
      if (users.has(command.creatorId)) return true;
      outcome.dead.push({ command, reason: 'unknown creator' });
      return false;
    });
    return database.transaction(async (transaction) => {
      const { stored, dead } = await insertApplications(transaction, candidates);
      const whole = { ...outcome, stored, dead: [...outcome.dead, ...dead] };
      await recordHandled(transaction, handledOf('create-application', batch, ofCreation(whole)));
      return whole;
    });
  },

  /** Applies the newest rename of each application. A rename whose application is not stored yet is deferred. */
  update: async <Command extends Edit>(batch: readonly Command[]): Promise<Outcome<Command>> => {
    const rows = await database.select(
      `SELECT id, token, created_at, creator_id, command_id FROM applications
       WHERE token IN (${placeholders(batch.length)})`,
      batch.map(({ token }) => token),
    );
    const byToken = new Map(rows.map((row) => [row.token, row]));
    const outcome: Outcome<Command> = { stored: [], deferred: [], dead: [] };
    const newest = new Map<string, Command>();
    for (const command of batch) {
      if (!byToken.has(command.token)) {
        outcome.deferred.push({ command, reason: 'its application is not stored yet' });
        continue;
      }
      outcome.stored.push(command);
      const other = newest.get(command.token);
      if (other === undefined || other.commandId < command.commandId) newest.set(command.token, command);
    }
    await database.transaction(async (transaction) => {
      await renameApplications(transaction, [...newest.values()], byToken);
      await recordHandled(transaction, handledOf('update-application', batch, { refused: [], stored: [] }));
    });
    return outcome;
  },

  find: async (token: string): Promise<ApplicationRow | undefined> => {
    const [row] = await database.select(
      'SELECT token, name, chats_count, creator_id FROM applications WHERE token = ?',
      [token],
    );
    return row && toApplication(row);
  },

  /** The applications of a user, newest first, without the given tokens. */
  listByCreator: async (
    creatorId: number,
    { skip, count, except }: { skip: number; count: number; except: readonly string[] },
  ): Promise<ApplicationRow[]> => {
    const without = except.length === 0 ? '' : ` AND token NOT IN (${placeholders(except.length)})`;
    const rows = await database.select(
      `SELECT a.token, a.name, a.chats_count, a.creator_id
       FROM (SELECT id FROM applications WHERE creator_id = ?${without} ORDER BY id DESC LIMIT ? OFFSET ?) page
       JOIN applications a ON a.id = page.id ORDER BY a.id DESC`,
      [creatorId, ...except, count, skip],
    );
    return rows.map(toApplication);
  },

  /** Raises counts. @returns the counts whose applications exist */
  raiseChatsCounts: async <Count extends { token: string; count: number }>(
    counts: readonly Count[],
  ): Promise<Count[]> => {
    if (counts.length === 0) return [];
    // The query runs before the update. In the other order, an application inserted in between would be reported as
    // raised although it keeps its old count.
    const rows = await database.select(
      `SELECT token FROM applications WHERE token IN (${placeholders(counts.length)})`,
      counts.map(({ token }) => token),
    );
    const known = new Set(rows.map((row) => row.token));
    const stored = counts.filter(({ token }) => known.has(token));
    if (stored.length === 0) return [];
    await database.write(
      `UPDATE applications
       SET chats_count = GREATEST(chats_count, CASE token ${stored.map(() => 'WHEN ? THEN ?').join(' ')} END)
       WHERE token IN (${placeholders(stored.length)})`,
      [...stored.flatMap(({ token, count }) => [token, count]), ...stored.map(({ token }) => token)],
    );
    return stored;
  },

  /** The highest chat number of each application, after the application `afterId`: for recovering the counters. */
  highestChatNumbers: async (
    afterId: number,
    count: number,
  ): Promise<{ id: number; token: string; highest: number; chatsCount: number }[]> => {
    // The order names every column of the index. For the number alone, MySQL would read and sort every chat.
    const rows = await database.select(
      `SELECT a.id, a.token, a.chats_count,
         (SELECT c.number FROM chats c WHERE c.application_id = a.id
          ORDER BY c.application_id DESC, c.number DESC LIMIT 1) AS highest
       FROM applications a WHERE a.id > ? ORDER BY a.id LIMIT ?`,
      [afterId, count],
    );
    return rows.map((row) => ({
      id: row.id,
      token: row.token,
      highest: row.highest ?? 0,
      chatsCount: row.chats_count,
    }));
  },
});

const toApplication = (row: {
  [column: string]: unknown;
  token?: string;
  name?: string;
  chats_count?: number;
  creator_id?: number;
}): ApplicationRow => ({
  token: row.token ?? '',
  name: row.name ?? '',
  chatsCount: row.chats_count ?? 0,
  creatorId: row.creator_id ?? 0,
});

export type Applications = ReturnType<typeof createApplications>;
