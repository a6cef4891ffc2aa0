import { connectApi } from '../../local/demo/api.ts';
import { measureChat, type Times, timeRows } from '../chat-times.ts';
import { createChat, fillChat } from '../conversation.ts';
import { loadChats, loadMessages } from '../load.ts';
import type { Section } from '../section.ts';
import { during } from '../stack.ts';
import { flushRedis, untilVerified } from './heal.ts';

const SMALL = 10_000;

/** The same work in a small cell and in a grown one. */
export const growth: Section = async ({ stack, api, report, options: { grownTo } }) => {
  const chat = await createChat();
  await fillChat(chat, 1);
  const http = connectApi(api, 1);
  /** @returns the times of all work after MySQL, the index and Redis have grown */
  const grow = async (firstChat: number, firstMessage: number, to: number): Promise<Times> => {
    await during(report, `loading up to ${to.toLocaleString('en')} chats`, () =>
      loadChats(chat, { from: firstChat, to }),
    );
    await during(report, `loading up to ${to.toLocaleString('en')} messages`, () =>
      loadMessages(chat, { from: firstMessage, to }),
    );
    await during(report, 'recovering the counters', async () => {
      await flushRedis(stack.urls.REDIS_URL, http, chat);
      await untilVerified();
    });
    return during(report, 'measuring', () => measureChat(chat));
  };
  try {
    const small = await grow(2, 2, SMALL);
    // Measuring used some thousand numbers of the chat.
    const grown = await grow(SMALL + 1, 2 * SMALL + 1, grownTo);
    return timeRows(
      { what: `${grownTo.toLocaleString('en')} chats, as many messages in one`, times: grown },
      { what: `with ${SMALL.toLocaleString('en')}`, times: small },
    );
  } finally {
    http.close();
  }
};
