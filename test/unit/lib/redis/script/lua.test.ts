import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'luaparse';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { createPendingChanges } from '#lib/redis/changes/pending-changes.ts';
import { createAccepts, createSettles } from '#lib/redis/commands/all.ts';
import { createOutbox } from '#lib/redis/commands/outbox.ts';
import { createCounters } from '#lib/redis/gate/counters.ts';
import { createGate } from '#lib/redis/gate/gate.ts';
import { createRateLimits } from '#lib/redis/limits/rate-limits.ts';
import { createSignInAttempts } from '#lib/redis/limits/sign-in-attempts.ts';
import { createConnections } from '#lib/redis/live/connections.ts';
import { createGenerations } from '#lib/redis/revocation/generations.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { defineScript } from '#lib/redis/script/script.ts';
import { createDeletedMessages } from '#lib/redis/window/deleted-messages.ts';
import { createDirectory } from '#lib/redis/window/directory.ts';
import { createOutdatedWindows } from '#lib/redis/window/outdated-windows.ts';
import { createMarkers } from '#lib/redis/window/read-markers.ts';
import { createRecentMessages } from '#lib/redis/window/recent-messages.ts';
import { created, edited } from '../../../../support/commands.ts';
import { scriptsOnly } from '../../../../support/scripts-only.ts';

const chat = { token: 'app', chatNumber: 1 };
const message = { ...chat, messageNumber: 1 };
const creatorId = 7;

/** Runs every script once. @returns their texts */
const everyScript = async (): Promise<ReadonlySet<string>> => {
  const { client, texts } = scriptsOnly();
  const cell = { client, keys: createKeys() };
  const accepts = createAccepts(cell);
  const settles = createSettles(cell);
  const gate = createGate(cell);
  const attempt = await gate.attempt();
  const counters = createCounters(cell);
  const generations = createGenerations(cell);
  const connections = createConnections(cell);
  const recent = createRecentMessages(cell);
  const markers = createMarkers(cell);
  const signingIn = scriptsOnly({ reply: ['begun'] });
  const signIn = createSignInAttempts({ client: signingIn.client, keys: cell.keys, hash: String });
  const address = { email: parseEmailAddress('a@example.org') ?? expect.unreachable(), source: '::1' };
  const limited = scriptsOnly({ reply: [1, 1] });
  const rateLimits = createRateLimits({
    ...cell,
    client: limited.client,
    limits: {
      'sign-up': undefined,
      'sign-in': undefined,
      reads: undefined,
      'bad-tokens': undefined,
      writes: { count: 1, seconds: 1 },
    },
    timeoutMs: 100,
    onError: () => undefined,
  });
  const one = <Item>(item: Item) => ({ stored: [item], dead: [] });
  await Promise.allSettled([
    accepts['create-application']({ token: 'app', name: 'n', creatorId }),
    accepts['update-application']({ token: 'app', name: 'n', callerId: creatorId }),
    accepts['create-chat']({ token: 'app', creatorId }),
    accepts['update-chat']({ ...chat, callerId: creatorId }),
    accepts['create-message']({ ...chat, senderId: 7, senderName: 'n', body: 'b', createdAtMs: 1 }),
    accepts['update-message']({ ...message, body: '', deleted: true, callerId: creatorId }),
    settles['create-application'](one({ ...created(1), token: 'app', creatorId })),
    settles['update-application'](one({ ...edited(1), token: 'app' })),
    settles['create-chat'](one({ ...created(1), ...chat, creatorId })),
    settles['update-chat'](one({ ...edited(1), ...chat })),
    settles['create-message'](one({ ...created(1), ...message })),
    settles['update-message'](
      one({
        ...edited(1),
        ...message,
        senderId: 7,
        senderName: 'n',
        body: '',
        createdAtMs: 1,
        deletedAtMs: 2,
      }),
    ),
    settles['index-message'](one({ ...message, version: 1 })),
    createPendingChanges(cell).remove([
      { ...message, type: 'message.created', changeNumber: 1, before: {}, member: 'm', movesWitness: true },
    ]),
    createOutbox(cell).forget('create-chat', [{ commandId: 1, digest: 'd' }]),
    gate.status(),
    gate.tryNumbering(['create-chat']),
    gate.raiseClock(1),
    gate.verify([{ ...chat, count: 1 }], '1'),
    gate.saveProgress(undefined, '1'),
    attempt.begin(),
    attempt.isCurrent(),
    attempt.readClocks(),
    attempt.open(1, { witness: 1, found: 1, start: 2 }),
    attempt.end(),
    generations.read(7),
    generations.raise([{ id: 7, generation: 1 }]),
    connections.countFrame('one=', { isBad: true }),
    connections.authenticate('one=', { id: 7, generation: 1, endsAtMs: 1 }),
    connections.ping('one='),
    connections.unsubscribe('one=', chat),
    connections.forget(['one=']),
    counters.read([chat]),
    counters.clean('chats', [{ ...chat, count: 1 }]),
    createDirectory(cell).application('app'),
    createDeletedMessages(cell).among([message]),
    createDirectory(cell).pendingChats('app', [1]),
    createOutdatedWindows(cell).drop([chat]),
    markers.read(7, 'app', [1]),
    markers.raise({ id: 7, generation: 0 }, chat, 1, undefined),
    markers.clean([{ ...chat, userId: 7, number: 1 }]),
    recent.page(chat, { skip: 0, count: 1 }),
    recent.messages([message]),
    createPendingChanges(cell).read(chat, { since: 1, count: 1 }),
    recent.forget([chat]),
    recent.beginWindow(chat, 'b'),
    recent.finishWindow(chat, 'b', [], true),
    rateLimits.take('writes', '7')?.giveBack(),
    signIn.attempt(address, async () => 'found'),
    signIn.attempt(address, async () => undefined),
    signIn.attempt(address, () => Promise.reject(new Error('No look'))),
  ]);
  return new Set([...texts, ...signingIn.texts, ...limited.texts]);
};

/** How often the sources define a script, without those that define scripts for others. */
const definitions = (): number => {
  const folder = join(import.meta.dirname, '../../../../../lib/redis');
  const own = ['script/script.ts', 'commands/accept.ts', 'commands/settle.ts'];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !own.includes(file))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .reduce((sum, text) => sum + (text.match(/ define(Script|Accept|Settle)(<[^(]*>)?\(/g)?.length ?? 0), 0);
};

const known = new Set(
  'redis KEYS ARGV cjson string math table unpack ipairs pairs tonumber tostring pcall type'.split(' '),
);

/** The functions that a script defines at its top, and the names that no script defines. */
const readLua = (text: string) => {
  const { body, globals } = parse(text, { luaVersion: '5.1', scope: true });
  return {
    functions: body.flatMap(({ type, identifier }) =>
      type === 'FunctionDeclaration' ? [identifier?.name] : [],
    ),
    undefinedNames: globals.flatMap(({ name = '' }) => (known.has(name) ? [] : [name])),
  };
};

describe('every finished script', () => {
  let texts: string[] = [];
  beforeAll(async () => {
    texts = [...(await everyScript())];
  });

  test('is among those of this test', () => {
    expect(texts).toHaveLength(definitions());
  });

  test('is Lua, defines each function once, and uses only names that it or Redis defines', () => {
    for (const text of texts) {
      const { functions, undefinedNames } = readLua(text);
      expect(undefinedNames).toEqual([]);
      expect(functions).toEqual([...new Set(functions)]);
    }
  });

  test('reads the state of the gate in one place', () => {
    const readers = texts.map((text) => text.match(/redis\.call\('HMGET', state,/g)?.length ?? 0);
    expect(Math.max(...readers)).toBe(1);
  });
});

test('a module that a script does not name, and that nobody needs, is found as a missing function', () => {
  const { source } = defineScript({ keys: ['counter'] }, "raise(counter, '1')");
  expect(readLua(source).undefinedNames).toEqual(['raise']);
});

test('a module that two others need is emitted once, before both', () => {
  const base = { lua: 'local function base() end\n' };
  const one = { needs: [base], lua: 'local function one() base() end\n' };
  const other = { needs: [base], lua: 'local function other() base() end\n' };
  const { source } = defineScript({ uses: [one, other, base] }, 'one()');
  expect(readLua(source)).toEqual({ functions: ['base', 'one', 'other'], undefinedNames: [] });
});
