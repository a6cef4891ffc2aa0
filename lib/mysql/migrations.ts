import type { Database } from './connection/database.ts';

export type Migration = { name: string; sql: string };

export const createMigrations = (database: Database) => ({
  /**
   * Applies missing migrations in the order of their names. Each is one statement. A second process that starts at the
   * same time waits for the first. @returns the names of the applied migrations
   */
  apply: (migrations: readonly Migration[]): Promise<string[]> =>
    database.onOneConnection(async (connection) => {
      const lock = "CONCAT(LEFT(DATABASE(), 40), ':migrate')";
      const [locked] = await connection.select(`SELECT GET_LOCK(${lock}, 10) AS got`, []);
      if (locked?.got !== 1) throw new Error('Another migration has been running for more than 10 seconds.');
      try {
        await connection.write(
          `CREATE TABLE IF NOT EXISTS migrations (
           name VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
           applied_at DATETIME(3) NOT NULL
         ) ENGINE = InnoDB`,
          [],
        );
        const rows = await connection.select('SELECT name FROM migrations', []);
        const applied = new Set(rows.map((row) => row.name));
        const missing = migrations
          .filter(({ name }) => !applied.has(name))
          .sort((a, b) => (a.name < b.name ? -1 : 1));
        for (const { name, sql } of missing) {
          await connection.write(sql, []);
          await connection.write('INSERT INTO migrations (name, applied_at) VALUES (?, UTC_TIMESTAMP(3))', [
            name,
          ]);
        }
        return missing.map(({ name }) => name);
      } finally {
        await connection.select(`SELECT RELEASE_LOCK(${lock})`, []);
      }
    }),
});

export type Migrations = ReturnType<typeof createMigrations>;
