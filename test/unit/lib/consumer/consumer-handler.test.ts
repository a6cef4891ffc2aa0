import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createConsumerHandlers } from '#lib/consumer/consumer-handler.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { unavailable } from '#lib/domain/errors.ts';
import type { Handled } from '#lib/mysql/progress.ts';
import type { Publication } from '#lib/rabbitmq/publisher.ts';
import type { Counted } from '#lib/redis/gate/counters.ts';
import { logger } from '#lib/runtime/logger.ts';
import { createLambdaContext } from '../../../../local/emulation/lambda-context.ts';
import { type Published, rabbitmqEventOf } from '../../../support/rabbitmq-event.ts';

logger.setLogLevel('SILENT');

const queue = 'create-thing';
const schema = z.object({
  name: z.string(),
  commandId: z.number().optional(),
  epoch: z.number().optional(),
  token: z.string().optional(),
  chatNumber: z.number().optional(),
  messageNumber: z.number().optional(),
});
type Thing = z.output<typeof schema>;

type Given = {
  passedEpoch?: number;
  newestEpoch?: number;
  maxDeferrals?: number;
  /** Every counter in Redis. */
  counted?: Counted;
  /** The highest number in MySQL. */
  highestNumber?: number | undefined;
};

/** What the handler did, in order, on services that keep everything in memory. */
const createWorld = ({ passedEpoch = 0, newestEpoch = 9, maxDeferrals = 3, ...numbers }: Given = {}) => {
  const { counted = 'missing', highestNumber } = numbers;
  const clock: number[] = [];
  const steps: string[] = [];
  const published: Publication[] = [];
  const recorded: Handled[] = [];
  const notes = new Set<string>();
  const passed: unknown[] = [];
  const forgotten: { commandId: number; digest: string }[] = [];
  const consumerHandler = createConsumerHandlers({
    recoveryState: () => ({
      epochs: async () => ({ passed: passedEpoch, newest: newestEpoch }),
      passBarrier: async (_queue, epoch) => {
        steps.push('pass');
        passed.push(epoch);
      },
      record: async (handled) => {
        recorded.push(handled);
      },
      highestChatNumber: async () => highestNumber,
      highestMessageNumber: async () => highestNumber,
    }),
    counters: () => ({ read: async (of) => of.map(() => counted) }),
    gate: () => ({
      raiseClock: async (micros) => {
        clock.push(micros);
      },
    }),
    letterNotes: () => ({
      findNoted: async (digests) => new Set(digests.filter((digest) => notes.has(digest))),
      add: async (digests) => {
        for (const digest of digests) notes.add(digest);
      },
    }),
    publisher: () => ({
      publish: async (publications) => {
        for (const one of publications) {
          steps.push(`publish ${one.queue}`);
          published.push(one);
        }
      },
    }),
    outbox: () => ({
      forget: async (_queue, dead) => {
        forgotten.push(...dead);
      },
    }),
    maxDeferrals: () => maxDeferrals,
  });
  return { consumerHandler, steps, published, recorded, passed, forgotten, clock };
};

type World = ReturnType<typeof createWorld>;

/** A consumer whose commands choose their own outcome. */
const run = async (
  world: World,
  messages: Published[],
  {
    store,
    settle = async () => undefined,
    partSize,
    hasOutbox = true,
  }: {
    hasOutbox?: boolean;
    store?: (names: string[]) => void;
    settle?: (settled: { stored: readonly Thing[]; dead: readonly Thing[] }) => Promise<void>;
    partSize?: number;
  } = {},
) => {
  const settled = { stored: [] as string[], dead: [] as string[] };
  const handler = world.consumerHandler(
    { queue, function: 'persistThing', item: 'message', creates: 'messageNumber', outbox: hasOutbox, schema },
    {
      store: async <Of extends Thing>(_uses: object, commands: readonly Of[]) => {
        store?.(commands.map(({ name }) => name));
        const outcome: Outcome<Of, Thing> = { stored: [], deferred: [], dead: [] };
        for (const command of commands) {
          if (command.name.startsWith('early')) outcome.deferred.push({ command, reason: 'no parent' });
          else if (command.name.startsWith('dead')) outcome.dead.push({ command, reason: 'never' });
          else outcome.stored.push(command);
        }
        world.steps.push('store');
        return outcome;
      },
      settle: async (_uses, outcome) => {
        await settle(outcome);
        world.steps.push('settle');
        settled.stored.push(...outcome.stored.map(({ name }) => name));
        settled.dead.push(...outcome.dead.map(({ name }) => name));
      },
      ...(partSize === undefined ? {} : { partSize }),
    },
    {},
  );
  await handler(rabbitmqEventOf(queue, ...messages), createLambdaContext('persistThing'));
  return settled;
};

const sha1Of = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex');

const thing = (name: string, more: object = {}): Published => ({ content: { name, ...more } });

const barrier = (epoch: number): Published => ({ content: { barrier: { id: 'b', epoch } } });

describe('a batch', () => {
  it('is stored and settled, then its dead letters are published and settled, then its deferred commands published', async () => {
    const world = createWorld();
    const settled = await run(world, [thing('early'), thing('fine'), thing('dead')]);
    expect(world.steps).toEqual([
      'store',
      'settle',
      `publish ${queue}.dead`,
      'settle',
      `publish ${queue}.retry`,
    ]);
    expect(settled).toEqual({ stored: ['fine'], dead: ['dead'] });
  });

  it('without a command touches nothing', async () => {
    const world = createWorld();
    await run(world, []);
    expect(world.steps).toEqual([]);
  });

  it('is redelivered when a server cannot do its work, and nothing is published', async () => {
    const world = createWorld();
    const down = () => {
      throw unavailable('down');
    };
    await expect(run(world, [thing('fine'), thing('dead')], { store: down })).rejects.toThrow('down');
    expect(world.published).toEqual([]);
  });

  it('publishes its deferred commands once, however often settling fails', async () => {
    const world = createWorld();
    const batch = [thing('early'), thing('fine')];
    const failing = async () => {
      throw unavailable('Redis is down');
    };
    for (let time = 0; time < 5; time += 1)
      await expect(run(world, batch, { settle: failing })).rejects.toThrow('Redis is down');
    await run(world, batch);
    expect(world.published).toHaveLength(1);
  });
});

describe('a batch in parts', () => {
  const partSize = 2;

  it('is stored in order, and a part is settled while the next is stored', async () => {
    const world = createWorld();
    const lastIsStored = Promise.withResolvers<void>();
    const parts: string[][] = [];
    const settled = await run(
      world,
      ['one', 'two', 'three', 'four', 'five'].map((name) => thing(name)),
      {
        partSize,
        store: (names) => {
          parts.push(names);
          if (names.includes('five')) lastIsStored.resolve();
        },
        settle: () => lastIsStored.promise,
      },
    );
    expect(parts).toEqual([['one', 'two'], ['three', 'four'], ['five']]);
    expect(settled.stored).toEqual(['one', 'two', 'three', 'four', 'five']);
  });

  it('publishes dead letters, deferred commands and barriers of all parts at the end', async () => {
    const world = createWorld();
    const batch = [
      thing('early'),
      thing('dead'),
      thing('fine'),
      barrier(4),
      thing('dead too'),
      thing('fine too'),
    ];
    await run(world, batch, { partSize });
    const [dead, retry] = [`publish ${queue}.dead`, `publish ${queue}.retry`];
    const ofParts = world.steps.slice(0, -5);
    expect(ofParts.filter((step) => step === 'store')).toHaveLength(3);
    expect(ofParts.filter((step) => step === 'settle')).toHaveLength(2);
    expect(world.steps.slice(-5)).toEqual([dead, dead, 'settle', retry, 'pass']);
  });

  it('whose second part fails after the first is settled is redelivered, and doubles nothing', async () => {
    const world = createWorld();
    const batch = [thing('early'), thing('one'), thing('dead'), thing('two'), barrier(4)];
    const firstIsSettled = Promise.withResolvers<void>();
    const settledFirst: string[] = [];
    const failing = run(world, batch, {
      partSize,
      store: (names) => {
        if (names.includes('two')) throw unavailable('MySQL is down');
      },
      settle: async ({ stored }) => {
        settledFirst.push(...stored.map(({ name }) => name));
        firstIsSettled.resolve();
      },
    });
    await expect(failing).rejects.toThrow('MySQL is down');
    await firstIsSettled.promise;
    expect(settledFirst).toEqual(['one']);
    expect(world.published).toEqual([]);
    expect(world.passed).toEqual([]);

    const settled = await run(world, batch, { partSize });
    expect(settled).toEqual({ stored: ['one', 'two'], dead: ['dead'] });
    expect(world.published.map(({ queue }) => queue)).toEqual([`${queue}.dead`, `${queue}.retry`]);
    expect(world.passed).toEqual([4]);
  });

  it('stores nothing behind a part that was not stored', async () => {
    const world = createWorld();
    const tried: string[] = [];
    const failing = run(
      world,
      ['one', 'two', 'three', 'four'].map((name) => thing(name)),
      {
        partSize,
        store: (names) => {
          tried.push(...names);
          throw unavailable('MySQL is down');
        },
      },
    );
    await expect(failing).rejects.toThrow('MySQL is down');
    expect(tried).toEqual(['one', 'two']);
  });

  it('throws only after everything in progress has ended', async () => {
    const world = createWorld();
    const secondHasFailed = Promise.withResolvers<void>();
    const failing = run(
      world,
      ['one', 'two', 'three', 'four'].map((name) => thing(name)),
      {
        partSize,
        store: (names) => {
          if (!names.includes('three')) return;
          secondHasFailed.resolve();
          throw unavailable('MySQL is down');
        },
        settle: () => secondHasFailed.promise,
      },
    );
    await expect(failing).rejects.toThrow('MySQL is down');
    expect(world.steps).toEqual(['store', 'settle']);
  });

  it('passes no barrier and publishes nothing when the first part cannot be settled', async () => {
    const world = createWorld();
    const batch = [thing('one'), thing('early'), thing('dead'), barrier(4)];
    const failing = run(world, batch, {
      partSize,
      settle: async () => {
        throw unavailable('Redis is down');
      },
    });
    await expect(failing).rejects.toThrow('Redis is down');
    expect(world.published).toEqual([]);
    expect(world.passed).toEqual([]);
  });

  it('with poison in one part stores and settles all others', async () => {
    const world = createWorld();
    const names = ['one', 'two', 'poison', 'three', 'four', 'five'];
    const settled = await run(
      world,
      names.map((name) => thing(name)),
      {
        partSize,
        store: (some) => {
          if (some.includes('poison')) throw new Error('not this one');
        },
      },
    );
    expect(settled.stored.toSorted()).toEqual(['five', 'four', 'one', 'three', 'two']);
    expect(settled.dead).toEqual(['poison']);
  });

  it('drops stragglers behind a barrier of an earlier part', async () => {
    const world = createWorld({ passedEpoch: 2 });
    const of = (name: string, epoch: number) => thing(name, { epoch, commandId: 1 });
    const batch = [
      of('before', 3),
      barrier(4),
      of('straggler', 3),
      of('newer', 4),
      of('late', 2),
      thing('other'),
    ];
    const settled = await run(world, batch, { partSize });
    expect(settled.stored).toEqual(['before', 'newer', 'other']);
    expect(world.passed).toEqual([4]);
  });
});

describe('a command that fails by itself', () => {
  const poison = (names: string[]) => {
    if (names.includes('poison')) throw new Error('not this one');
  };

  it('is dead with the reason, and the rest of its batch is stored', async () => {
    const world = createWorld();
    const names = Array.from({ length: 100 }, (_, at) => (at === 37 ? 'poison' : `fine ${at}`));
    const settled = await run(
      world,
      names.map((name) => thing(name)),
      { store: poison },
    );
    expect(settled.stored).toEqual(names.filter((name) => name !== 'poison'));
    expect(settled.dead).toEqual(['poison']);
    expect(world.published).toMatchObject([{ queue: `${queue}.dead`, headers: { reason: 'not this one' } }]);
  });

  it('keeps its number and moves the witness', async () => {
    const world = createWorld({ passedEpoch: 1 });
    await run(world, [thing('poison', { commandId: 17, epoch: 1, token: 'app' })], { store: poison });
    expect(world.recorded).toMatchObject([
      { queue, highestId: 17, reserved: [{ token: 'app', commandId: 17 }], releasedIds: [] },
    ]);
  });

  it('of another program, without an epoch, does neither', async () => {
    const world = createWorld();
    await run(world, [thing('poison', { commandId: 17, token: 'app' })], { store: poison });
    expect(world.recorded).toEqual([]);
  });

  it('while settling is left in the outbox, and its batch-mates are settled', async () => {
    const world = createWorld();
    const settled = await run(world, [thing('one'), thing('bad'), thing('two')], {
      settle: async ({ stored }) => {
        if (stored.some(({ name }) => name === 'bad')) throw new Error('WRONGTYPE');
      },
    });
    expect(settled.stored).toEqual(['one', 'two']);
    expect(world.published).toEqual([]);
  });
});

describe('a malformed message', () => {
  it.each<[string, Published['content'], RegExp]>([
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), /malformed: not UTF-8/],
    ['no JSON', '{"name":', /malformed: not JSON/],
    ['an empty message', '', /malformed: not JSON/],
    ['JSON of another shape', '[1, 2]', /malformed/],
    ['JSON nested 5,000 deep', `${'['.repeat(5_000)}${']'.repeat(5_000)}`, /malformed/],
    ['a barrier of no known form', { barrier: { id: '', epoch: 0 } }, /malformed/],
  ])('becomes a dead letter with its bytes: %s', async (_what, content, reason) => {
    const world = createWorld();
    await run(world, [{ content, messageId: '5' }, thing('fine')]);
    const bytes = Buffer.isBuffer(content)
      ? content
      : Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
    expect(world.published).toMatchObject([
      { queue: `${queue}.dead`, messageId: '5', headers: { reason: expect.stringMatching(reason) } },
    ]);
    expect(world.published[0]?.content).toEqual(bytes);
    expect(world.forgotten).toEqual([{ commandId: 5, digest: sha1Of(bytes) }]);
  });
});

describe('a dead letter', () => {
  it('is published once, however often its command is delivered', async () => {
    const world = createWorld();
    const batch = [thing('dead'), thing('dead'), { content: 'no command' }];
    const failing = async () => {
      throw unavailable('Redis is down');
    };
    for (let time = 0; time < 5; time += 1)
      await expect(run(world, batch, { settle: failing })).rejects.toThrow();
    await run(world, batch);
    expect(world.published).toHaveLength(2);
  });

  it('of the same id and another content is another letter', async () => {
    const world = createWorld();
    await run(world, [
      { ...thing('dead one'), messageId: 'same' },
      { ...thing('dead two'), messageId: 'same' },
    ]);
    expect(world.published).toHaveLength(2);
  });

  it('is published again when its redriven command fails again', async () => {
    const world = createWorld();
    await run(world, [thing('dead')]);
    const again = { ...thing('dead'), headers: { redriven: 1 } };
    await run(world, [again]);
    await run(world, [again]);
    expect(world.published.map(({ headers }) => headers?.redriven)).toEqual([undefined, 1]);
  });
});

describe('a deferred command', () => {
  it('carries its bytes, its id and one attempt more', async () => {
    const world = createWorld();
    const content = '{"name": "early",  "unknown": "kept"}';
    await run(world, [{ content, messageId: '7', headers: { attempts: 1 } }]);
    expect(world.published).toEqual([
      {
        queue: `${queue}.retry`,
        content: Buffer.from(content),
        messageId: '7',
        headers: { attempts: 2, reason: 'no parent' },
      },
    ]);
  });

  it('is dead after the allowed attempts', async () => {
    const world = createWorld({ maxDeferrals: 3 });
    const settled = await run(world, [{ ...thing('early'), headers: { attempts: 3 } }]);
    expect(settled.dead).toEqual(['early']);
    expect(world.published).toMatchObject([
      {
        queue: `${queue}.dead`,
        headers: { reason: 'still not possible after 3 attempts: no parent' },
      },
    ]);
  });
});

describe('properties of any value', () => {
  it.each([
    ['an id of 86 bytes that were no UTF-8', { messageId: '\ufffd'.repeat(86) }],
    ['an id longer than AMQP allows', { messageId: 'é'.repeat(128) }],
    ['an id that is no string', { messageId: 17 }],
    ['no id', {}],
  ])('%s: the command is deferred without it', async (_what, properties) => {
    const world = createWorld();
    await run(world, [{ ...thing('early'), ...properties }]);
    expect(world.published[0]).not.toHaveProperty('messageId');
  });

  it.each<[unknown, number]>([
    [-1e308, 1],
    [-1_000_000, 1],
    [Number.NaN, 1],
    ['two', 1],
    [true, 1],
    [1.7, 2],
  ])('attempts %j count as %i', async (attempts, expected) => {
    const world = createWorld();
    await run(world, [{ ...thing('early'), headers: { attempts } }]);
    expect(world.published[0]?.headers?.attempts).toBe(expected);
  });

  it('attempts beyond the maximum count as the maximum', async () => {
    const world = createWorld({ maxDeferrals: 3 });
    await run(world, [{ ...thing('early'), headers: { attempts: 1e308 } }]);
    expect(world.published).toMatchObject([{ queue: `${queue}.dead`, headers: { attempts: 4 } }]);
  });
});

describe('a barrier', () => {
  it('passes after everything before it is stored, dead or deferred', async () => {
    const world = createWorld();
    await run(world, [thing('early'), thing('dead'), barrier(4)]);
    expect(world.steps.at(-1)).toBe('pass');
    expect(world.passed).toEqual([4]);
  });

  it('drops only first deliveries of earlier epochs behind it', async () => {
    const world = createWorld({ passedEpoch: 0 });
    const old = (name: string) => thing(name, { epoch: 3, commandId: 1 });
    const settled = await run(world, [
      old('before'),
      barrier(4),
      old('straggler'),
      thing('newer', { epoch: 4, commandId: 2 }),
      thing('of another program'),
      { ...old('relayed'), headers: { relayed: 1 } },
      { ...old('deferred'), headers: { attempts: 0 } },
      { ...old('redriven'), headers: { redriven: 1 } },
    ]);
    expect(settled.stored).toEqual([
      'before',
      'newer',
      'of another program',
      'relayed',
      'deferred',
      'redriven',
    ]);
  });

  it('that passed with an earlier batch drops them as well', async () => {
    const world = createWorld({ passedEpoch: 4 });
    const settled = await run(world, [thing('straggler', { epoch: 3 }), thing('newer', { epoch: 4 })]);
    expect(settled.stored).toEqual(['newer']);
    expect(world.published).toEqual([]);
  });
});

describe('a message of an epoch that MySQL has not begun', () => {
  it.each<[string, object]>([
    ['a command', { name: 'forged', epoch: 4, commandId: 17, token: 'app' }],
    [
      'a command of a huge epoch',
      { name: 'forged', epoch: Number.MAX_SAFE_INTEGER, commandId: 17, token: 'app' },
    ],
    ['a barrier', { barrier: { id: 'x', epoch: 4 } }],
    ['a barrier of a huge epoch', { barrier: { id: 'x', epoch: Number.MAX_SAFE_INTEGER } }],
    ['a malformed command', { epoch: 4, commandId: 17, token: 'app' }],
  ])('is malformed, and moves neither witness nor barrier: %s', async (_what, content) => {
    const world = createWorld({ newestEpoch: 3 });
    const settled = await run(world, [{ content, messageId: '17' }, thing('fine')]);
    expect(settled).toEqual({ stored: ['fine'], dead: [] });
    expect(world.published).toMatchObject([
      { queue: `${queue}.dead`, headers: { reason: expect.stringMatching(/^malformed: /) } },
    ]);
    expect(world.passed).toEqual([]);
    expect(world.recorded).toEqual([]);
  });

  it('is not one of the newest epoch', async () => {
    const world = createWorld({ newestEpoch: 3 });
    const settled = await run(world, [thing('newest', { epoch: 3, commandId: 1 }), barrier(3)]);
    expect(settled.stored).toEqual(['newest']);
    expect(world.passed).toEqual([3]);
    expect(world.published).toEqual([]);
  });
});

describe('a malformed message with an id and an epoch', () => {
  const of = (more: object): Published => ({ content: { token: 'app', epoch: 1, ...more } });

  it('keeps its number and moves the witness', async () => {
    const world = createWorld();
    await run(world, [of({ commandId: 17 })]);
    expect(world.recorded).toMatchObject([{ highestId: 17, reserved: [{ token: 'app' }] }]);
  });

  it.each<[string, object]>([
    ['two days ahead', { commandId: (Date.now() + 2 * 86_400_000) * 1000 }],
    ['of 2^53 - 1', { commandId: Number.MAX_SAFE_INTEGER }],
    ['of zero', { commandId: 0 }],
    ['below zero', { commandId: -5 }],
    ['with a fraction', { commandId: 17.5 }],
    ['as a string', { commandId: '17' }],
    ['beside an epoch of zero', { commandId: 17, epoch: 0 }],
    ['beside an epoch as a string', { commandId: 17, epoch: '1' }],
    ['beside a number out of range', { commandId: 17, chatNumber: 4_294_967_295 }],
  ])('does neither with an id %s', async (_what, more) => {
    const world = createWorld();
    await run(world, [of(more)]);
    expect(world.recorded).toEqual([]);
    expect(world.published).toHaveLength(1);
  });
});

it('a barrier in the queue of the index is malformed, and asks MySQL for nothing', async () => {
  const world = createWorld();
  await run(world, [barrier(1), { content: 'x', messageId: '5' }], { hasOutbox: false });
  expect(world.passed).toEqual([]);
  expect(world.forgotten).toEqual([]);
  expect(world.published).toHaveLength(2);
});

it('a command that begins with a byte order mark is a command', async () => {
  const world = createWorld();
  const settled = await run(world, [{ content: `\uFEFF${JSON.stringify({ name: 'marked' })}` }]);
  expect(settled.stored).toEqual(['marked']);
});

it('only a command with an epoch has a digest: the SHA-1 of its message', async () => {
  const world = createWorld();
  const digests: unknown[] = [];
  const ours = thing('ours', { epoch: 1, commandId: 7 });
  await run(world, [ours, thing('foreign', { commandId: 7 })], {
    settle: async ({ stored }) => {
      digests.push(...stored.map((one) => ('digest' in one ? one.digest : undefined)));
    },
  });
  expect(digests).toEqual([sha1Of(Buffer.from(JSON.stringify(ours.content))), undefined]);
});

describe('a creation whose number is above the counter', () => {
  const million = 1_000_000;
  const numbered = (number: number, more: object = {}) =>
    thing(`number ${number}`, { token: 'app', chatNumber: number, ...more });

  it.each<[string, Parameters<typeof createWorld>[0], number]>([
    ['of a chat that nobody knows', {}, million],
    ['in Redis', { counted: 500 }, million + 500],
    ['in MySQL alone', { counted: 'unknown', highestNumber: 7 }, million + 7],
    ['in MySQL, which is higher', { counted: 5, highestNumber: 70 }, million + 70],
    ['in Redis, which is higher', { counted: 70, highestNumber: 5 }, million + 70],
  ])(
    '%s by a million is stored, and by more is a dead letter that reserves nothing',
    async (_what, given, most) => {
      const world = createWorld(given);
      const ours = { epoch: 1, commandId: 17 };
      const settled = await run(world, [numbered(most), numbered(most + 1), numbered(4_294_967_294, ours)]);
      expect(settled).toEqual({ stored: [`number ${most}`], dead: [] });
      expect(world.published.map(({ headers }) => headers?.reason)).toEqual(
        Array(2).fill('malformed: its number is more than a million above the counter'),
      );
      expect(world.recorded).toEqual([]);
    },
  );

  it('by its message is a dead letter too, and so is a malformed one', async () => {
    const world = createWorld();
    const ours = { token: 'app', epoch: 1, commandId: 17 };
    await run(world, [
      thing('message', { ...ours, chatNumber: 1, messageNumber: 4_294_967_294 }),
      thing('chat', { ...ours, chatNumber: 4_294_967_294, messageNumber: 1 }),
      { content: { ...ours, chatNumber: 1, messageNumber: 4_294_967_294 } },
    ]);
    expect(world.published).toHaveLength(3);
    expect(world.recorded).toEqual([]);
  });
});

describe('commands of other programs', () => {
  it('raise the clock of Redis to the present once they are settled', async () => {
    const world = createWorld();
    const before = Date.now() * 1000;
    await run(world, [thing('foreign'), thing('early', { epoch: 1, commandId: 7 })]);
    expect(world.clock).toHaveLength(1);
    expect(world.clock[0]).toBeGreaterThanOrEqual(before);
  });

  it('are noted neither for our own commands nor for the index', async () => {
    const world = createWorld();
    await run(world, [thing('ours', { epoch: 1, commandId: 7 })]);
    await run(world, [thing('indexed')], { hasOutbox: false });
    expect(world.clock).toEqual([]);
  });
});
