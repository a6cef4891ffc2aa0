import { expect, it, vi } from 'vitest';
import { migrate } from '../../../../functions/operations/migrate.ts';

const createUses = ({ applied = [] as string[], outdated = false } = {}) => ({
  migrations: { apply: vi.fn(async () => applied) },
  users: { giveNextHandles: vi.fn(async () => 0) },
  publisher: { declare: vi.fn(async (): Promise<string[]> => []) },
  messageIndex: () => ({ prepare: async () => ({ outdated }) }),
  firstGate: { open: vi.fn(async () => undefined) },
  redisClient: { inspect: async () => 'usable' as const },
});
const log = () => undefined;

it('opens the gate only where it has just created the tables', async () => {
  const first = createUses({ applied: ['0001_create_users.sql', '0002_more.sql'] });
  await migrate({ log }, first);
  expect(first.firstGate.open).toHaveBeenCalledOnce();
  const later = createUses({ applied: ['0002_more.sql'] });
  await migrate({ log }, later);
  expect(later.firstGate.open).not.toHaveBeenCalled();
});

it('applies the migrations of the repository', async () => {
  const uses = createUses();
  await migrate({ log }, uses);
  expect(uses.migrations.apply).toHaveBeenCalledExactlyOnceWith(
    expect.arrayContaining([
      { name: '0001_create_users.sql', sql: expect.stringContaining('CREATE TABLE IF NOT EXISTS users') },
    ]),
  );
});

it('succeeds without OpenSearch, and says that search is not ready', async () => {
  const logged: string[] = [];
  const messageIndex = () => ({ prepare: () => Promise.reject(new Error('down')) });
  const report = await migrate({ log: (message) => logged.push(message) }, { ...createUses(), messageIndex });
  expect(report).toEqual({ applied: [], search: 'not ready' });
  expect(logged).toHaveLength(1);
});

it('reports an index that needs a rebuild', async () => {
  expect(await migrate({ log }, createUses({ outdated: true }))).toMatchObject({ search: 'wants a reindex' });
});

it('fails when MySQL fails, before it declares a queue', async () => {
  const uses = createUses();
  const migrations = { apply: () => Promise.reject(new Error('MySQL is down')) };
  await expect(migrate({ log }, { ...uses, migrations })).rejects.toThrow('MySQL is down');
  expect(uses.publisher.declare).not.toHaveBeenCalled();
});

it('fails for a Redis that cannot be used as it is configured, before it changes anything', async () => {
  const uses = createUses();
  const redisClient = { inspect: () => Promise.reject(new Error('REDIS_KEY_PREFIX needs a hash tag')) };
  await expect(migrate({ log }, { ...uses, redisClient })).rejects.toThrow('REDIS_KEY_PREFIX');
  expect(uses.migrations.apply).not.toHaveBeenCalled();
});

it('logs a Redis that gives no answer', async () => {
  const codes: unknown[] = [];
  await migrate(
    { log: (_message, facts) => codes.push(facts?.code) },
    { ...createUses(), redisClient: { inspect: async () => 'no answer' } },
  );
  expect(codes).toEqual(['redis-not-checked']);
});

it('gives handles until no user is without one', async () => {
  const uses = createUses();
  uses.users.giveNextHandles.mockResolvedValueOnce(500).mockResolvedValueOnce(3);
  await migrate({ log }, uses);
  expect(uses.users.giveNextHandles).toHaveBeenCalledTimes(3);
});
