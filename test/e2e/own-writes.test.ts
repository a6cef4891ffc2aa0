import { beforeAll, describe, expect, inject, it } from 'vitest';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  type Listed,
  messagesPath,
  signUp,
} from '../support/client.ts';

let client: Client;
beforeAll(async () => {
  ({ client } = await signUp(inject('apiUrl'), 'Grace'));
});

describe('a client sees its accepted write in its next request', () => {
  it('an application, a chat and a message, each made in the one before', async () => {
    const token = await createApplication(client, 'At once');
    const chatNumber = await createChat(client, token, 'The first');
    const messageNumber = await createMessage(client, token, chatNumber, 'hello');
    const path = messagesPath(token, chatNumber);
    const page = await client.get<Listed[]>(path);
    expect(page.body).toMatchObject([{ messageNumber, body: 'hello', senderName: 'Grace' }]);
    expect(chatNumber).toBe(1);
    expect(messageNumber).toBe(1);

    expect((await client.get(`/applications/${token}`)).body).toEqual({
      token,
      name: 'At once',
      chatsCount: 1,
    });
    expect((await client.get(`/applications/${token}/chats`)).body).toEqual([
      { chatNumber: 1, title: 'The first', messagesCount: 1, unreadCount: 0 },
    ]);
    expect((await client.get(`/applications/${token}/chats/1`)).body).toEqual({
      chatNumber: 1,
      title: 'The first',
      messagesCount: 1,
      unreadCount: 0,
    });
    expect((await client.get<unknown[]>('/applications')).body).toContainEqual({
      token,
      name: 'At once',
      chatsCount: 1,
    });
  });

  it('an edit, in the list and alone', async () => {
    const token = await createApplication(client);
    await createChat(client, token);
    const path = messagesPath(token, 1);
    await createMessage(client, token, 1, 'befor');
    expect((await client.put(`${path}/1`, { body: 'before' })).status).toBe(200);
    const [listed] = (await client.get<Listed[]>(path)).body;
    expect(listed).toMatchObject({ messageNumber: 1, body: 'before' });
    expect(Date.parse(listed?.editedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(listed?.createdAt ?? ''));
    expect((await client.get(`${path}/1`)).body).toEqual(listed);
    // Again, before the first edit is anywhere but in Redis.
    expect((await client.put(path, { messageNumber: 1, body: 'after' })).status).toBe(200);
    expect((await client.get<Listed[]>(path)).body).toMatchObject([{ body: 'after' }]);
  });

  it('a new name', async () => {
    const token = await createApplication(client, 'Old');
    expect((await client.put(`/applications/${token}`, { name: 'New' })).status).toBe(200);
    const renamed = { token, name: 'New', chatsCount: 0 };
    expect((await client.get(`/applications/${token}`)).body).toEqual(renamed);
    expect((await client.get<unknown[]>('/applications')).body).toContainEqual(renamed);
  });
});
