import { describe, expect, it } from 'vitest';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { indexMessageCommand } from '#lib/contracts/commands/index-message.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';

const date = '2026-01-01T00:00:00.000Z';
const token = 'app';
const DAY_MS = 24 * 60 * 60 * 1000;
const microsAhead = (ms: number) => (Date.now() + ms) * 1000;

const valid = {
  'create-application': [createApplicationCommand, { token, name: 'n', creatorId: 1, date }],
  'update-application': [updateApplicationCommand, { token, name: 'n', date }],
  'create-chat': [createChatCommand, { token, chatNumber: 1, creatorId: 1, date }],
  'update-chat': [updateChatCommand, { token, chatNumber: 1, title: 't', date }],
  'create-message': [
    createMessageCommand,
    { token, chatNumber: 1, messageNumber: 1, senderId: 1, body: 'b', date },
  ],
  'update-message': [updateMessageCommand, { token, chatNumber: 1, messageNumber: 1, body: 'b', date }],
} as const;

describe.each(Object.values(valid))('$queue', ({ schema }, command) => {
  const takes = (more: object) => schema.safeParse({ ...command, ...more }).success;

  it('is taken with and without an id and an epoch', () => {
    expect(takes({})).toBe(true);
    expect(takes({ commandId: 1 })).toBe(true);
    expect(takes({ commandId: 1, epoch: 1 })).toBe(true);
    expect(takes({ commandId: microsAhead(0), epoch: 1 })).toBe(true);
    expect(takes({ commandId: microsAhead(DAY_MS), epoch: 1 })).toBe(true);
    expect(takes({ commandId: microsAhead(DAY_MS) })).toBe(true);
  });

  it.each<[string, object]>([
    ['an id a day and an hour ahead', { commandId: microsAhead(DAY_MS + 3_600_000) }],
    ['the same with an epoch', { commandId: microsAhead(DAY_MS + 3_600_000), epoch: 1 }],
    ['the largest id', { commandId: Number.MAX_SAFE_INTEGER, epoch: 1 }],
    ['an id beyond safe integers', { commandId: 2 ** 60, epoch: 1 }],
    ['an infinite id', { commandId: Number.POSITIVE_INFINITY, epoch: 1 }],
    ['an id of zero', { commandId: 0 }],
    ['a negative id', { commandId: -1 }],
    ['a fraction of an id', { commandId: 1.5 }],
    ['an id as a string', { commandId: '1' }],
    ['an epoch without an id', { epoch: 1 }],
    ['an epoch of zero', { commandId: 1, epoch: 0 }],
    ['a negative epoch', { commandId: 1, epoch: -1 }],
    ['a fraction of an epoch', { commandId: 1, epoch: 0.5 }],
    ['an epoch as a string', { commandId: 1, epoch: '1' }],
  ])('is malformed with %s', (_what, more) => {
    expect(takes(more)).toBe(false);
  });
});

describe.each([
  ['update-application', { name: 'n' }],
  ['update-chat', { title: 't' }],
] as const)('%s', (queue, text) => {
  const [{ schema }] = valid[queue];
  const takes = (more: object) =>
    schema.safeParse({ token, ...(queue === 'update-chat' ? { chatNumber: 1 } : {}), date, ...more }).success;

  it('is a deletion without a text, and only with `true`', () => {
    expect(takes({ deleted: true })).toBe(true);
    expect(takes({ deleted: null, ...text })).toBe(true);
    expect(takes({ deleted: true, ...text })).toBe(false);
    expect([false, 'true', 1].some((deleted) => takes({ deleted, ...text }))).toBe(false);
    expect(takes({})).toBe(queue === 'update-chat');
  });
});

describe('create-message', () => {
  const [{ schema }, command] = valid['create-message'];
  const takes = (more: object) => schema.safeParse({ ...command, ...more }).success;

  it.each(['', ' ', 'a\u0000b', 'a\u202Eb', '\u200B', 'x'.repeat(101)])(
    'of another program keeps to the names of a request: %j',
    (senderName) => {
      expect(takes({ senderName })).toBe(false);
      expect(takes({ senderName: 'Ada' })).toBe(true);
    },
  );

  it('of this API takes a name of an earlier rule', () => {
    expect(takes({ senderName: 'a\u202Eb', commandId: 1, epoch: 1 })).toBe(true);
    expect(takes({ senderName: '', commandId: 1, epoch: 1 })).toBe(false);
  });
});

describe.each(['update-application', 'update-chat', 'update-message'] as const)('the time of %s', (queue) => {
  const [{ schema }, command] = valid[queue];
  const timeOf = (more: object) => schema.parse({ ...command, ...more }).editedAtMs;

  it('is that of its id, which rises with every edit, and not that of the clock of its handler', () => {
    const at = (ms: number) => new Date(ms).toISOString();
    expect(timeOf({ epoch: 1, commandId: 2_000_999, date: at(5_000) })).toBe(2_000);
    expect(timeOf({ epoch: 1, commandId: 2_001_000, date: at(4_000) })).toBe(2_001);
  });

  it('is its date if another program has sent it', () => {
    expect(timeOf({ commandId: 2_000_000 })).toBe(Date.parse(date));
    expect(timeOf({})).toBe(Date.parse(date));
  });
});

describe('update-message', () => {
  const [{ schema }, command] = valid['update-message'];
  const takes = (more: object) => schema.safeParse({ ...command, ...more }).success;

  it('takes a deletion with an empty body, and no empty body otherwise', () => {
    expect(takes({ body: '', deleted: true })).toBe(true);
    expect(takes({ body: 'b', deleted: null })).toBe(true);
    const malformed = [
      { body: '' },
      { body: '', deleted: null },
      { deleted: true },
      { body: '', deleted: false },
    ];
    expect(malformed.some(takes)).toBe(false);
  });
});

describe('index-message', () => {
  const message = { token, chatNumber: 1, messageNumber: 1, senderName: 'Ada', body: 'b', createdAt: date };
  const takes = (version: unknown) => indexMessageCommand.schema.safeParse({ ...message, version }).success;

  it('takes a version up to a day ahead', () => {
    expect([1, microsAhead(0), microsAhead(DAY_MS)].every(takes)).toBe(true);
    const refused = [microsAhead(DAY_MS + 3_600_000), Number.MAX_SAFE_INTEGER, 0, -1, 1.5, '1', null];
    expect(refused.some(takes)).toBe(false);
  });

  it('takes a deleted message without its text, and no other without one', () => {
    const { schema } = indexMessageCommand;
    const takesAlso = (more: object) => schema.safeParse({ ...message, version: 1, ...more }).success;
    expect(takesAlso({ body: '', deleted: true })).toBe(true);
    expect([{ body: '' }, { deleted: true }].some(takesAlso)).toBe(false);
  });
});
