import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { created } from '../support/commands.ts';
import { openStores, type Stores } from '../support/stores.ts';

let stores: Stores;
let ana: number;
const nothing = { highestId: 0, reserved: [], releasedIds: [] };

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'recovery');
  [ana = 0] = await stores.addUsers('ana');
});
afterAll(() => stores?.close());

test('every epoch has a higher number than the one before, also when many begin at once', async () => {
  const { recoveryState } = stores;
  expect(await recoveryState.newestEpoch()).toBe(0);
  const first = await recoveryState.beginEpoch('server-a');
  const numbers = await Promise.all(Array.from({ length: 10 }, () => recoveryState.beginEpoch('server-b')));
  expect(new Set(numbers).size).toBe(10);
  expect(Math.min(...numbers)).toBeGreaterThan(first);
  expect(await recoveryState.newestEpoch()).toBe(Math.max(...numbers));
});

test('a barrier and a witness never fall', async () => {
  const { recoveryState } = stores;
  const queue = 'create-chat';
  const { passed, newest } = await recoveryState.epochs(queue);
  expect({ passed, newest }).toEqual({ passed: 0, newest: await recoveryState.newestEpoch() });
  await recoveryState.passBarrier(queue, 7);
  await recoveryState.passBarrier(queue, 5);
  await recoveryState.record({ ...nothing, queue, highestId: 1_700_000_000_000_002 });
  await recoveryState.record({ ...nothing, queue, highestId: 1_700_000_000_000_001 });
  expect(await recoveryState.epochs(queue)).toEqual({ passed: 7, newest });
  expect((await recoveryState.queues()).get(queue)).toEqual({ epoch: 7, highestId: 1_700_000_000_000_002 });
});

describe('the highest number given', () => {
  test('is unknown without a row and without a reservation', async () => {
    expect(await stores.recoveryState.highestChatNumber('nobody')).toBeUndefined();
    expect(await stores.recoveryState.highestMessageNumber('nobody', 1)).toBeUndefined();
  });

  test('counts rows and reservations, until a reservation is released', async () => {
    const { recoveryState } = stores;
    const token = 'both';
    await stores.applications.insert([{ token, name: token, creatorId: ana, ...created(1) }]);
    expect(await recoveryState.highestChatNumber(token)).toBe(0);
    await stores.chats.insert([{ token, chatNumber: 2, creatorId: ana, ...created(2) }]);
    expect(await recoveryState.highestChatNumber(token)).toBe(2);
    expect(await recoveryState.highestMessageNumber(token, 2)).toBe(0);
    const reserved = [
      { token, chatNumber: 5, commandId: 15 },
      { token, chatNumber: 2, messageNumber: 9, commandId: 16 },
    ];
    for (let time = 0; time < 2; time += 1)
      await recoveryState.record({ ...nothing, queue: 'create-chat', reserved });
    expect(await recoveryState.highestChatNumber(token)).toBe(5);
    expect(await recoveryState.highestMessageNumber(token, 2)).toBe(9);
    expect(await recoveryState.highestMessageNumber(token, 5)).toBe(0);
    await recoveryState.record({ ...nothing, queue: 'create-chat', releasedIds: [15] });
    await recoveryState.release([16]);
    expect(await recoveryState.highestChatNumber(token)).toBe(2);
    expect(await recoveryState.highestMessageNumber(token, 2)).toBe(0);
    expect(await recoveryState.highestMessageNumber(token, 5)).toBeUndefined();
  });

  test('knows a parent by its reservation alone, and all reservations page by page', async () => {
    const { recoveryState } = stores;
    const reserved = [
      { token: 'dead', commandId: 21 },
      { token: 'dead', chatNumber: 1, commandId: 22 },
      { token: 'dead', chatNumber: 1, messageNumber: 4_294_967_294, commandId: 23 },
    ];
    await recoveryState.record({ ...nothing, queue: 'create-message', reserved });
    expect(await recoveryState.highestChatNumber('dead')).toBe(1);
    expect(await recoveryState.highestMessageNumber('dead', 1)).toBe(4_294_967_294);
    const found = [];
    for (let page = await recoveryState.reservations(0, 2); page.length > 0; ) {
      found.push(...page);
      page = await recoveryState.reservations(page.at(-1)?.id ?? 0, 2);
    }
    expect(found.map(({ id: _id, ...one }) => one)).toEqual(reserved);
  });
});

test('a transaction that fails leaves nothing behind, and its connection is used again', async () => {
  const fails = stores.database.transaction(async (transaction) => {
    await transaction.write('INSERT INTO queues (queue, epoch) VALUES (?, ?)', ['half', 1]);
    throw new Error('in the middle');
  });
  await expect(fails).rejects.toThrow('in the middle');
  const read = Array.from({ length: 8 }, () => stores.recoveryState.epochs('half'));
  expect((await Promise.all(read)).map(({ passed }) => passed)).toEqual(Array(8).fill(0));
});
