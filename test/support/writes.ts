import type { Submit } from '#lib/writing/submit.ts';

/** The most writes at once that the clients of one environment accept within their time limits. */
const AT_ONCE = 250;

/** Accepts writes as the HTTP functions do, all by one user. */
export const createWrites = (submit: () => Submit, userId: number) => {
  let sequence = 0;
  const message = (token: string, chatNumber: number, body = `message ${++sequence}`): Promise<number> =>
    submit().message({
      token,
      chatNumber,
      senderId: userId,
      senderName: 'Ada',
      body,
      createdAtMs: Date.now(),
    });
  return {
    application: (name = 'app'): Promise<string> => submit().application({ name, creatorId: userId }),
    chat: (token: string): Promise<number> => submit().chat({ token, creatorId: userId }),
    message,
    rename: (token: string, name: string): Promise<boolean> =>
      submit().applicationUpdate({ token, name, callerId: userId, creatorId: userId }),
    edit: (token: string, chatNumber: number, messageNumber: number, body: string): Promise<boolean> =>
      submit().messageUpdate({
        token,
        chatNumber,
        messageNumber,
        body,
        callerId: userId,
        senderId: userId,
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
