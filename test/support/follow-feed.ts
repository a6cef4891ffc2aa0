import { expect } from 'vitest';
import type { ChangeEvent } from '#lib/domain/change.ts';
import { type Client, messagesPath } from './client.ts';

type Page = { changeNumber: number; more: boolean; items: ChangeEvent[] };

/** A client's copy of an application: the items by their paths. */
type Copy = Map<string, unknown>;

const pathOf = ({ token, chatNumber, messageNumber }: ChangeEvent): string => {
  if (chatNumber === undefined) return `/applications/${token}`;
  if (messageNumber === undefined) return `/applications/${token}/chats/${chatNumber}`;
  return `${messagesPath(token, chatNumber)}/${messageNumber}`;
};

/** @param path of the feed @returns all events after a position, and the last position */
export const readFeed = async (
  client: Client,
  path: string,
  { since = 0, limit = 100 } = {},
): Promise<{ items: ChangeEvent[]; position: number }> => {
  const items: ChangeEvent[] = [];
  let position = since;
  for (;;) {
    const { status, text, body } = await client.get<Page>(`${path}?since=${position}&limit=${limit}`);
    expect(status, text).toBe(200);
    expect(body.items.length).toBeLessThanOrEqual(limit);
    items.push(...body.items);
    position = body.changeNumber;
    if (!body.more) return { items, position };
  }
};

/** What events make of an empty copy. */
const applyAll = (events: readonly ChangeEvent[]): Copy => {
  const copy: Copy = new Map();
  for (const event of events) {
    const path = pathOf(event);
    if (event.type === 'chat.deleted') {
      for (const item of copy.keys()) if (item === path || item.startsWith(`${path}/`)) copy.delete(item);
    } else copy.set(path, event.message ?? event.chat ?? event.application);
  }
  return copy;
};

/**
 * Expects that the feed of an application, applied to an empty copy, equals what GET answers: item by item, with none missing
 * in the lists.
 */
export const expectFeedToEqualGet = async (client: Client, token: string, limit = 3): Promise<void> => {
  const { items } = await readFeed(client, `/applications/${token}/changes`, { limit });
  const copy = applyAll(items);
  for (const [path, shown] of copy) {
    const { status, body } = await client.get<Record<string, unknown>>(path);
    expect(status, path).toBe(200);
    const { unreadCount: _ofReader, ...content } = body;
    expect(shown, path).toEqual(content);
  }
  const listed = [`/applications/${token}`];
  const chats = await client.get<{ chatNumber: number }[]>(`/applications/${token}/chats?limit=100`);
  for (const { chatNumber } of chats.body) {
    listed.push(`/applications/${token}/chats/${chatNumber}`);
    const messages = await client.get<{ messageNumber: number }[]>(
      `${messagesPath(token, chatNumber)}?limit=100`,
    );
    listed.push(
      ...messages.body.map(({ messageNumber }) => `${messagesPath(token, chatNumber)}/${messageNumber}`),
    );
  }
  expect([...copy.keys()].sort()).toEqual(listed.sort());
};
