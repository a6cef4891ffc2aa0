import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest';
import { silentReport } from '../../local/services/index.ts';
import { noFindings } from './audit.ts';
import { faultsOf } from './faults.ts';
import { shortPace } from './pace.ts';
import { Arena } from './round.ts';
import { System } from './system.ts';

/* A short round of each fault, all on one system, so that a later round may still find the damage of an earlier fault. */

const seed = Date.now() % 1_000_000;
let system: System;
let arena: Arena;
let keepLog = false;

beforeAll(async () => {
  system = await System.start(silentReport);
  arena = new Arena(system, { seed, say: () => undefined });
  // Four servers and the functions, on a machine that may be busy with other tests.
}, 240_000);

afterAll(async () => {
  await system?.stop({ keepLog });
});

describe('nothing accepted is lost, no number is given twice', () => {
  test.for(faultsOf('single').filter(({ isBaseline }) => isBaseline !== true))(
    '$name: $what',
    async (fault, { skip }) => {
      const missing = fault.needs?.find((server) => !system.has(server));
      skip(missing !== undefined, `There is no ${missing} on this machine.`);
      onTestFailed(() => {
        keepLog = true;
        console.error(`seed ${seed}; what the functions logged: ${system.logFile}`);
      });
      const { findings, accepted, secondsUntilWhole } = await arena.run(fault, shortPace);
      expect(findings).toEqual(noFindings());
      expect(secondsUntilWhole).toBeDefined();
      expect(accepted).toBeGreaterThan(0);
    },
  );

  test('an audit finds lost, changed, duplicated and restored items, and chats that nobody deleted', async () => {
    const connection = await createConnection(system.service('mysql').url);
    const change = async (sql: string) => {
      await connection.query(sql);
    };
    const select = async (sql: string) => (await connection.query<RowDataPacket[]>(sql))[0];
    try {
      expect(await arena.audit()).toEqual(noFindings());
      await change(
        "UPDATE messages SET body = CONCAT(body, ' changed') WHERE number = 1 ORDER BY id DESC LIMIT 1",
      );
      await change('DELETE FROM messages WHERE number = 2 ORDER BY id DESC LIMIT 10');
      const [deleted] = await connection.query<RowDataPacket[]>(
        // Nobody deletes the first chat.
        'SELECT id FROM messages WHERE chat_id = (SELECT MIN(id) FROM chats) AND deleted_at IS NOT NULL AND sender IS NOT NULL LIMIT 1',
      );
      expect(deleted).toHaveLength(1);
      await change(`UPDATE messages SET body = 'back', deleted_at = NULL WHERE id = ${deleted[0]?.id}`);
      const chats = 'FROM chats c JOIN applications a ON a.id = c.application_id WHERE a.deleted_at IS NULL';
      const [[gone], [present, other]] = await Promise.all([
        select(`SELECT c.id ${chats} AND c.deleted_at IS NOT NULL ORDER BY c.id DESC LIMIT 1`),
        select(`SELECT c.id ${chats} AND c.deleted_at IS NULL ORDER BY c.id DESC LIMIT 2`),
      ]);
      await change(`UPDATE chats SET deleted_at = NULL WHERE id = ${gone?.id}`);
      await change(`UPDATE chats SET deleted_at = NOW(3), title = NULL WHERE id = ${other?.id}`);
      await change(`UPDATE chats SET messages_count = messages_count + 1 WHERE id = ${present?.id}`);
      const findings = await arena.audit();
      expect(findings.lost.length).toBeGreaterThan(0);
      expect(findings.gaps.length).toBeGreaterThan(0);
      expect(findings.wrong.length).toBeGreaterThan(2);
      expect(findings.wrong.join()).toContain('is "back"');
      expect(findings.wrong.join()).toMatch(/chat \S+ is not deleted/);
      expect(findings.lost.join()).toMatch(/chat \S+ was deleted by nobody/);
    } finally {
      await connection.end();
    }
  });
});
