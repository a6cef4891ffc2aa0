import { describe, expect, it, vi } from 'vitest';
import { queueNames } from '#lib/contracts/commands/all.ts';
import { unavailable } from '#lib/domain/errors.ts';
import type { DeadLetter } from '#lib/rabbitmq/dead-letters.ts';
import { handleDeadLetters } from '../../../../functions/operations/dead-letters.ts';

const letter = (id: string, content: string | Buffer, reason = 'too long'): DeadLetter => ({
  id,
  reason,
  attempts: 1,
  since: '2026-01-01T00:00:00.000Z',
  content: Buffer.from(content),
});
const command = { token: 'app', chatNumber: 1, messageNumber: 2, body: 'secret' };

const createUses = (letters: DeadLetter[] = [], others: DeadLetter[] = [], deleted: string[] = []) => {
  const lettersOfDeleted = async <Letter extends Pick<DeadLetter, 'content'>>(
    _queue: string,
    all: readonly Letter[],
  ) => new Set(all.filter(({ content }) => deleted.some((text) => content.includes(text))));
  const handled = { held: letters.length, looked: letters.length, acted: letters.length };
  return {
    deadLetters: {
      list: vi.fn(async () => ({ held: letters.length, letters })),
      redrive: vi.fn(async (_queue: string) => handled),
      discard: vi.fn(
        async (
          _queue: string,
          _selection: object,
          before?: (all: DeadLetter[], others: DeadLetter[]) => Promise<void>,
        ) => {
          await before?.(letters, others);
          return handled;
        },
      ),
    },
    gate: { status: async () => ({ isOpen: true, verifying: undefined }) },
    recoveryState: { release: vi.fn(async () => undefined) },
    lettersOfDeleted: () => lettersOfDeleted,
  };
};
type Given = ReturnType<typeof createUses>;
const handle = (
  options: { action: 'list' | 'show' | 'redrive' | 'discard'; queue?: string },
  { recoveryState, ...uses }: Given,
) =>
  handleDeadLetters(
    { options: { limit: 1_000, ...options } },
    { ...uses, recoveryState: () => recoveryState },
  );

describe('list', () => {
  it('says where each command belongs and why it is dead, without the text of its user', async () => {
    const uses = createUses([letter('1', JSON.stringify(command)), letter('2', 'no JSON', 'not JSON')]);
    const report = await handle({ action: 'list', queue: 'create-message' }, uses);
    expect(report['create-message']).toMatchObject({
      held: 2,
      reasons: { 'too long': 1, 'not JSON': 1 },
      letters: [{ id: '1', token: 'app', chatNumber: 1, messageNumber: 2 }, { id: '2' }],
    });
    expect(JSON.stringify(report)).not.toContain('secret');
  });
});

describe('show', () => {
  it.each([
    ['a command', JSON.stringify(command), command],
    ['text that is no JSON', 'no JSON', 'no JSON'],
    ['JSON that is nested too deep', '[[[[[[1]]]]]]', '[[[[[[1]]]]]]'],
  ])('gives %s as it was published', async (_what, content, shown) => {
    const report = await handle({ action: 'show', queue: 'create-chat' }, createUses([letter('1', content)]));
    expect(report).toMatchObject({ 'create-chat': { letters: [{ id: '1', command: shown }] } });
  });

  it('tells of a deleted message only where it was, without its text', async () => {
    const letters = [
      letter('1', JSON.stringify(command)),
      letter('2', '{"messageNumber": 3, "body": "kept"}'),
    ];
    const report = await handle(
      { action: 'show', queue: 'update-message' },
      createUses(letters, [], ['secret']),
    );
    expect(report).toMatchObject({
      'update-message': {
        letters: [
          { id: '1', token: 'app', chatNumber: 1, messageNumber: 2, deleted: true },
          { id: '2', command: { body: 'kept' } },
        ],
      },
    });
    expect(JSON.stringify(report)).not.toContain('secret');
  });

  it('cuts large letters, and ends before the answer is too large for Lambda', async () => {
    const large = Array.from({ length: 9 }, (_, at) => letter(String(at), Buffer.alloc(1_000_000, 'x')));
    const report = await handle({ action: 'show', queue: 'create-chat' }, createUses(large));
    expect(JSON.stringify(report).length).toBeLessThan(1_000_000);
    expect(report).toMatchObject({ 'create-chat': { held: 9 } });
  });
});

it('redrives the queues in an order in which parents come first', async () => {
  const uses = createUses();
  await handle({ action: 'redrive' }, uses);
  expect(uses.deadLetters.redrive.mock.calls.map(([queue]) => queue)).toEqual(queueNames);
});

it('releases the numbers of discarded commands, and of nothing else', async () => {
  const ours = (commandId: unknown, epoch: unknown = 1) => JSON.stringify({ commandId, epoch });
  const uses = createUses(
    [
      letter('17.3f2a51c0', ours(17)),
      letter('18.3f2a51c1', 'no JSON with the id of a command'),
      letter('19.3f2a51c2', JSON.stringify({ commandId: 19 })),
      letter('20.3f2a51c3', ours(-1)),
      letter('21.3f2a51c4', ours('21')),
      letter('22.3f2a51c5', ours(22)),
    ],
    [letter('x.3f2a51c6', ours(22))],
  );
  await handle({ action: 'discard', queue: 'create-chat' }, uses);
  expect(uses.recoveryState.release).toHaveBeenCalledExactlyOnceWith([17]);
});

describe('while numbers are recovered', () => {
  it('refuses to move dead letters, from which numbers are recovered as well', async () => {
    const uses = createUses();
    const gate = { status: async () => ({ isOpen: false, verifying: undefined }) };
    await expect(handle({ action: 'redrive' }, { ...uses, gate })).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(uses.deadLetters.redrive).not.toHaveBeenCalled();
  });

  it('continues if Redis does not answer', async () => {
    const gate = { status: () => Promise.reject(unavailable('Redis does not answer.')) };
    expect(await handle({ action: 'list', queue: 'create-chat' }, { ...createUses(), gate })).toHaveProperty(
      'create-chat',
    );
  });
});
