import type { CommandContract, Read } from '#lib/contracts/commands/command.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { insertChanges } from './changes.ts';
import { type Database, keepWhatIsThere, tuples, type Value } from './connection/database.ts';
import { type Handleable, recordHandled } from './progress.ts';
import { findOwners, type Owner } from './users.ts';

/** What a new row needs besides its command. `parentId` is 0 for an item without a parent. */
type Found = { parentId: number; owner: Owner };

/** How created items of one kind are stored. `Row` is a row in the terms of the program. */
type Table<Contract extends CommandContract, Row> = {
  name: string;
  columns: readonly string[];
  toValues: (row: Row) => Value[];
  toRow: (command: Read<Contract>, found: Found) => Row;
  /** The user who creates the item, and the word for this user. */
  ownerId: (command: Read<Contract>) => number;
  owner: 'creator' | 'sender';
  /** The item's reference as text. */
  reference: (command: Read<Contract>) => string;
  /** The rows that exist now, by their references. */
  findRows: (database: Database, commands: readonly Read<Contract>[]) => Promise<ReadonlyMap<string, Row>>;
  /**
   * Whether this command created the row. The id decides. Two commands of other programs may share an id, which is
   * their date; then their contents decide, unless the row has been edited.
   */
  isOf: (command: Read<Contract>, row: Row) => boolean;
  /** Whether the row is that of a deleted application or chat. A command for it is dropped. */
  isDeleted?: (row: Row) => boolean;
  /** Absent for an item without a parent. */
  parent?: {
    reference: (command: Read<Contract>) => string;
    /** The ids of the stored parents, by their references. */
    findIds: (
      database: Database,
      commands: readonly Read<Contract>[],
    ) => Promise<ReadonlyMap<string, number>>;
    /** Those of the ids whose rows are not deleted. They stay so until the transaction ends. */
    findAlive: (transaction: Database, ids: readonly number[]) => Promise<ReadonlySet<number>>;
    /** Those of the commands whose parents will never be stored, because the parents of these are deleted. */
    findOrphans?: (
      database: Database,
      commands: readonly Read<Contract>[],
    ) => Promise<ReadonlySet<Read<Contract>>>;
  };
};

type Candidate<Command, Row> = { command: Command; parentId: number; row: Row };
type Stored<Command, Row> = Omit<Candidate<Command, Row>, 'parentId'>;
type Placed<Command, Row> = Required<Outcome<Command, Stored<Command, Row>>>;

/** Inserts missing rows. The rows then show which command each belongs to. */
const insertRows = async <Contract extends CommandContract, Row, Command extends Read<Contract>>(
  database: Database,
  { creates }: Contract,
  table: Table<Contract, Row>,
  candidates: readonly Candidate<Command, Row>[],
): Promise<Omit<Placed<Command, Row>, 'deferred'>> => {
  const { name, columns, toValues, reference, findRows, isOf, isDeleted } = table;
  const placed: Omit<Placed<Command, Row>, 'deferred'> = { stored: [], dead: [], dropped: [] };
  if (candidates.length === 0) return placed;
  const inserted = await database.write(
    `INSERT INTO ${name} (${columns.join(', ')})
     VALUES ${tuples(candidates.length, columns.length)} ${keepWhatIsThere}`,
    candidates.flatMap(({ row }) => toValues(row)),
  );
  // Every row is new, so each command has created its own, and no query is needed.
  if (inserted === candidates.length) return { ...placed, stored: [...candidates] };
  const rows = await findRows(
    database,
    candidates.map(({ command }) => command),
  );
  for (const { command } of candidates) {
    const row = rows.get(reference(command));
    if (row !== undefined && isDeleted?.(row)) placed.dropped.push(command);
    else if (row !== undefined && isOf(command, row)) placed.stored.push({ command, row });
    else {
      const what = creates === 'token' ? 'token' : 'number';
      placed.dead.push({ command, reason: `the ${what} belongs to another command` });
    }
  }
  return placed;
};

/**
 * Splits off commands whose parents are deleted. The lock lets a deletion wait until the rows of the others are inserted, so
 * that no row appears after it.
 */
const splitLate = async <Contract extends CommandContract, Row, One extends { parentId: number }>(
  transaction: Database,
  { parent }: Pick<Table<Contract, Row>, 'parent'>,
  candidates: readonly One[],
): Promise<{ alive: One[]; late: One[] }> => {
  if (parent === undefined || candidates.length === 0) return { alive: [...candidates], late: [] };
  const ids = [...new Set(candidates.map(({ parentId }) => parentId))];
  const found = await parent.findAlive(transaction, ids);
  const { alive = [], late = [] } = Object.groupBy(candidates, ({ parentId }) =>
    found.has(parentId) ? 'alive' : 'late',
  );
  return { alive, late };
};

const findOrphans = async <Contract extends CommandContract, Row, Command extends Read<Contract>>(
  database: Database,
  { parent }: Pick<Table<Contract, Row>, 'parent'>,
  deferred: Placed<Command, Row>['deferred'],
): Promise<Set<Command>> => {
  if (parent?.findOrphans === undefined || deferred.length === 0) return new Set();
  const commands = deferred.map(({ command }) => command);
  const found = await parent.findOrphans(database, commands);
  return new Set(commands.filter((command) => found.has(command)));
};

/**
 * Stores created items, each once. A command without its user, or whose token or number belongs to another command, is
 * dead; one whose parent is not stored yet is deferred; one whose parent is deleted is dropped. The records for a recovery
 * are part of the transaction.
 * @returns `stored` has each command with its row as it is now
 */
export const storeCreations = async <
  Contract extends CommandContract,
  Row,
  Command extends Read<Contract> & Handleable,
>(
  database: Database,
  contract: Contract,
  table: Table<Contract, Row>,
  batch: readonly Command[],
): Promise<Placed<Command, Row>> => {
  const { ownerId, toRow, parent } = table;
  const [owners, parentIds] = await Promise.all([
    findOwners(database, batch.map(ownerId)),
    parent?.findIds(database, batch),
  ]);
  const placed: Placed<Command, Row> = { stored: [], deferred: [], dead: [], dropped: [] };
  const candidates: Candidate<Command, Row>[] = [];
  for (const command of batch) {
    const owner = owners.get(ownerId(command));
    const parentId = parent === undefined ? 0 : parentIds?.get(parent.reference(command));
    if (owner === undefined) placed.dead.push({ command, reason: `unknown ${table.owner}` });
    else if (parentId === undefined)
      placed.deferred.push({ command, reason: `its ${contract.parent} is not stored yet` });
    else candidates.push({ command, parentId, row: toRow(command, { parentId, owner }) });
  }
  const orphans = await findOrphans(database, table, placed.deferred);
  return database.transaction(async (transaction) => {
    const { alive, late } = await splitLate(transaction, table, candidates);
    const { stored, dead, dropped } = await insertRows(transaction, contract, table, alive);
    const whole = {
      stored,
      deferred: placed.deferred.filter(({ command }) => !orphans.has(command)),
      dead: [...placed.dead, ...dead],
      dropped: [...late.map(({ command }) => command), ...dropped, ...orphans],
    };
    await insertChanges(
      transaction,
      contract,
      stored.map(({ command }) => command),
    );
    await recordHandled(transaction, contract, batch, {
      ...whole,
      stored: stored.map(({ command }) => command),
    });
    return whole;
  });
};
