import { type Database, placeholders } from './connection/database.ts';

/** @returns the ids of the stored applications among `tokens` */
export const findApplicationIds = async (
  database: Database,
  tokens: readonly string[],
): Promise<Map<string, number>> => {
  const rows = await database.select(
    `SELECT id, token FROM applications WHERE token IN (${placeholders(tokens.length)})`,
    tokens,
  );
  return new Map(rows.map((row) => [row.token, row.id]));
};
