import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  messagesPath,
} from '../support/client.ts';
import { createUser } from '../support/servers.ts';

let client: Client;
let items: { what: string; path: string; byBody: string; named: object; field: string }[];
beforeAll(async () => {
  ({ client } = await createUser('Ada'));
  const token = await createApplication(client);
  await createChat(client, token, 'first');
  await createMessage(client, token, 1, 'first');
  const messages = messagesPath(token, 1);
  items = [
    { what: 'message', path: `${messages}/1`, byBody: messages, named: { messageNumber: 1 }, field: 'body' },
    {
      what: 'chat',
      path: `/applications/${token}/chats/1`,
      byBody: '',
      named: {},
      field: 'title',
    },
    {
      what: 'application',
      path: `/applications/${token}`,
      byBody: '/applications',
      named: { token },
      field: 'name',
    },
  ];
});

const tagOf = async (path: string): Promise<string> => (await client.get(path)).headers.get('etag') ?? '';

describe.each([0, 1, 2])('an edit under a condition (item %i)', (index) => {
  const itemOf = () => items[index] ?? expect.unreachable();

  it('is taken with the present tag, and refused with an outdated one', async () => {
    const { path, field } = itemOf();
    const tag = await tagOf(path);
    expect((await client.put(path, { [field]: 'mine' }, { 'if-match': tag })).status).toBe(200);
    const late = await client.put<{ status: number }>(path, { [field]: 'theirs' }, { 'if-match': tag });
    expect(late.status).toBe(412);
    expect(late.headers.get('content-type')).toBe('application/problem+json');
    expect((await client.get<Record<string, unknown>>(path)).body[field]).toBe('mine');
  });

  it('compares with the item that the body names', async ({ skip }) => {
    const { path, byBody, named, field } = itemOf();
    skip(byBody === '', 'a chat is only named by its path');
    const tag = await tagOf(path);
    const edit = (value: string) => client.put(byBody, { ...named, [field]: value }, { 'if-match': tag });
    expect((await edit('by body')).status).toBe(200);
    expect((await edit('again')).status).toBe(412);
  });

  it.each([{ 'if-none-match': '*' }, { 'if-match': 'W/"1-weak"' }, { 'if-match': '"nonsense"' }])(
    'is refused with %j',
    async (headers) => {
      const { path, field } = itemOf();
      expect((await client.put(path, { [field]: 'never' }, headers)).status).toBe(412);
    },
  );

  it('is taken with If-Match: *, and one of two at a time with the same tag', async () => {
    const { path, field } = itemOf();
    expect((await client.put(path, { [field]: 'any' }, { 'if-match': '*' })).status).toBe(200);
    const tag = await tagOf(path);
    const replies = await Promise.all(
      ['a', 'b', 'c'].map((value) => client.put(path, { [field]: value }, { 'if-match': tag })),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
  });
});
