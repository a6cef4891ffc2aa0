import { describe, expect, it } from 'vitest';
import { createMessage } from '../../../../../functions/http/messages/create-message.ts';
import { functionRequest, idempotencyKey } from '../../../../support/function-request.ts';
import { recordingSubmit } from '../../../../support/recording-submit.ts';

const nowMs = Date.parse('2026-01-01T00:00:00.000Z');
const DAY_MS = 24 * 60 * 60 * 1_000;

/** Creates a message as Ada. @returns the answer, and the message that was submitted */
const create = async (createdAt?: string) => {
  const { submit, submitted } = recordingSubmit(4);
  const input = { token: 'token', chatNumber: 2, body: 'hello', createdAt };
  const request = functionRequest(input, { idempotency: idempotencyKey });
  const answer = await createMessage(request, { submit, now: () => nowMs });
  return { answer, submitted };
};

it('submits the message with its sender and its Idempotency-Key, and answers its number', async () => {
  const { answer, submitted } = await create();
  expect(answer).toEqual({ messageNumber: 4 });
  expect(submitted).toEqual([
    [
      'create-message',
      {
        token: 'token',
        chatNumber: 2,
        senderId: 7,
        sender: 'adaadaadaadaada7',
        generation: 3,
        senderName: 'Ada',
        body: 'hello',
        createdAtMs: nowMs,
      },
      idempotencyKey,
    ],
  ]);
});

describe('createdAt', () => {
  const at = (ms: number) => new Date(ms).toISOString();

  it.each([
    ['a time in the past', at(0), 0],
    ['24 hours from now', at(nowMs + DAY_MS), nowMs + DAY_MS],
  ])('may be %s', async (_what, createdAt, createdAtMs) => {
    expect((await create(createdAt)).submitted).toMatchObject([
      ['create-message', { createdAtMs }, idempotencyKey],
    ]);
  });

  it('may not be later than 24 hours from now', async () => {
    await expect(create(at(nowMs + DAY_MS + 1))).rejects.toMatchObject({
      code: 'bad-input',
      fields: [{ path: 'createdAt' }],
    });
  });
});
