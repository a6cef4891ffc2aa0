import type { CommandContract, Read } from '#lib/contracts/commands/command.ts';
import type { Outcome } from '#lib/domain/batch.ts';
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
  /** Absent for an item without a parent. */
  parent?: {
    reference: (command: Read<Contract>) => string;
    /** The ids of the stored parents, by their references. */
    findIds: (
      database: Database,
      commands: readonly Read<Contract>[],
    ) => Promise<ReadonlyMap<string, number>>;
  };
};

type Candidate<Command, Row> = { command: Command; row: Row };
type Placed<Command, Row> = Outcome<Command, Candidate<Command, Row>>;

/** Inserts missing rows. The rows then show which command each belongs to. */
const insertRows = async <Contract extends CommandContract, Row, Command extends Read<Contract>>(
  database: Database,
  { creates }: Contract,
  table: Table<Contract, Row>,
  candidates: readonly Candidate<Command, Row>[],
): Promise<Pick<Placed<Command, Row>, 'stored' | 'dead'>> => {
  const { name, columns, toValues, reference, findRows, isOf } = table;
  if (candidates.length === 0) return { stored: [], dead: [] };
  const inserted = await database.write(
    `INSERT INTO ${name} (${columns.join(', ')})
     VALUES ${tuples(candidates.length, columns.length)} ${keepWhatIsThere}`,
    candidates.flatMap(({ row }) => toValues(row)),
  );
  // Every row is new, so each command has created its own, and no query is needed.
  if (inserted === candidates.length) return { stored: [...candidates], dead: [] };
  const rows = await findRows(
    database,
    candidates.map(({ command }) => command),
  );
  const placed: Pick<Placed<Command, Row>, 'stored' | 'dead'> = { stored: [], dead: [] };
  for (const { command } of candidates) {
    const row = rows.get(reference(command));
    if (row !== undefined && isOf(command, row)) placed.stored.push({ command, row });
    else {
      const what = creates === 'token' ? 'token' : 'number';
      placed.dead.push({ command, reason: `the ${what} belongs to another command` });
    }
  }
  return placed;
};

/**
 * Stores created items, each once. A command without its user, or whose token or number belongs to another command, is
 * dead; one whose parent is not stored yet is deferred. The records for a recovery are part of the transaction.
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
  const placed: Placed<Command, Row> = { stored: [], deferred: [], dead: [] };
  const candidates: Candidate<Command, Row>[] = [];
  for (const command of batch) {
    const owner = owners.get(ownerId(command));
    const parentId = parent === undefined ? 0 : parentIds?.get(parent.reference(command));
    if (owner === undefined) placed.dead.push({ command, reason: `unknown ${table.owner}` });
    else if (parentId === undefined)
      placed.deferred.push({ command, reason: `its ${contract.parent} is not stored yet` });
    else candidates.push({ command, row: toRow(command, { parentId, owner }) });
  }
  return database.transaction(async (transaction) => {
    const { stored, dead } = await insertRows(transaction, contract, table, candidates);
    const whole = { ...placed, stored, dead: [...placed.dead, ...dead] };
    await recordHandled(transaction, contract, batch, {
      ...whole,
      stored: stored.map(({ command }) => command),
    });
    return whole;
  });
};
