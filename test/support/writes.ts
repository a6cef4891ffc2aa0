import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { createToken } from '#lib/domain/token.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** The most writes at once that the clients of one environment accept within their time limits. */
const AT_ONCE = 250;

/** Accepts writes as the HTTP functions do, all by one user. */
export const createWrites = (submit: () => Submit, userId: number) => {
  let sequence = 0;
  const message = (token: string, chatNumber: number, body = `message ${++sequence}`): Promise<number> =>
    submit()(createMessageCommand, {
      token,
      chatNumber,
      senderId: userId,
      senderName: 'Ada',
      body,
      createdAtMs: Date.now(),
    });
  return {
    application: (name = 'app', token = createToken()): Promise<string> =>
      submit()(createApplicationCommand, { token, name, creatorId: userId }),
    chat: (token: string): Promise<number> => submit()(createChatCommand, { token, creatorId: userId }),
    message,
    rename: (token: string, name: string) =>
      submit()(updateApplicationCommand, { token, name, callerId: userId }),
    edit: (token: string, chatNumber: number, messageNumber: number, body: string) =>
      submit()(updateMessageCommand, { token, chatNumber, messageNumber, body, callerId: userId }),
    remove: (token: string, chatNumber: number, messageNumber: number) =>
      submit()(updateMessageCommand, {
        token,
        chatNumber,
        messageNumber,
        body: '',
        deleted: true,
        callerId: userId,
      }),
    messages: async (token: string, chatNumber: number, count: number): Promise<number[]> => {
      const numbers: number[] = [];
      for (let left = count; left > 0; left -= AT_ONCE) {
        const part = Array.from({ length: Math.min(AT_ONCE, left) }, () => message(token, chatNumber));
        numbers.push(...(await Promise.all(part)));
      }
      return numbers;
    },
  };
};
