import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { database } from '#lib/runtime/services/servers.ts';
import { type Api, connectApi } from '../../local/demo/api.ts';
import { Failure } from '../../local/services/index.ts';
import { bodyOf, type Chat, createChat, fillChat, indexContents, untilTrue } from '../conversation.ts';
import { loadMessages } from '../load.ts';
import { median, percentile } from '../measure.ts';
import type { Row } from '../row.ts';
import type { Section } from '../section.ts';
import { during } from '../stack.ts';
import { flushRedis, untilVerified } from './heal.ts';

const CLIENTS = 8;
const CLIENT_PAUSE_MS = 40;
/** Undisturbed requests, before and after. */
const QUIET_MS = 20_000;
const P95 = 0.95;
const WITHIN_MS = 3_600_000;
const PASSWORD = 'a password of the bench';

type Gone = { answeredMs: number; goneS: number; p95: number };

/** Reads and writes of other people in another chat, half of each. @returns their times until `end` settles */
const useWhile = async (http: Api, chat: Chat, end: Promise<unknown>): Promise<number[]> => {
  const { token, chatNumber, authorization } = chat;
  const path = `/applications/${token}/chats/${chatNumber}/messages`;
  const times: number[] = [];
  let ended = false;
  const client = async (index: number) => {
    for (let i = index; !ended; i += 1) {
      const startedAt = performance.now();
      if (i % 2 === 0) await http.call({ method: 'GET', path, authorization });
      else await http.call({ method: 'POST', path, authorization, body: { body: bodyOf(i) } });
      times.push(performance.now() - startedAt);
      await delay(CLIENT_PAUSE_MS);
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
  try {
    await end;
  } finally {
    ended = true;
  }
  await clients;
  return times;
};

/** A user with a password and its account's row, who has written nothing. */
const signUp = async (http: Api): Promise<{ user: Chat['user']; basic: string }> => {
  const [name, email] = ['Bench', `${randomUUID()}@bench.example`];
  await http.call({ method: 'POST', path: '/users', body: { name, email, password: PASSWORD } });
  const [row] = await database().select('SELECT id, handle FROM users WHERE email = ?', [email]);
  return {
    user: { id: Number(row?.id), name, handle: String(row?.handle) },
    basic: `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}`,
  };
};

/** Bodies of a sender in a chat that MySQL still has, found from the end: the newest go last. */
const hasBodies = async ({ token, chatNumber, user }: Chat): Promise<boolean> => {
  const rows = await database().select(
    "SELECT number FROM messages WHERE token = ? AND chat_number = ? AND creator_id = ? AND body <> '' ORDER BY number DESC LIMIT 1",
    [token, chatNumber, user.id],
  );
  return rows.length > 0;
};

const isIndexed = async ({ token, chatNumber }: Chat): Promise<boolean> =>
  (await indexContents().listVersions({ token, chatNumber, limit: 1 })).length > 0;

/** True once the newest message of the chat is blank in the index. Its version then exceeds the loaded one. */
const isBlankInIndex = async ({ token, chatNumber }: Chat, { newest, loadedVersion }: Loaded) => {
  const [found] = await indexContents().listVersions({
    token,
    chatNumber,
    afterNumber: newest - 1,
    limit: 1,
  });
  return found === undefined || found.version > loadedVersion;
};

type Loaded = { newest: number; loadedVersion: number };

/** What deletions of much leave behind, and how other chats fare meanwhile. `eraseDeleted` runs each minute. */
export const erasure: Section = async ({ stack, api, report, options: { erased } }) => {
  const http = connectApi(api, CLIENTS + 1);
  const text = `${erased.toLocaleString('en')} messages`;
  const [deleted, ofAccount, other] = [await createChat(), await createChat(), await createChat()];
  for (const chat of [deleted, ofAccount, other]) await fillChat(chat, 1);
  const account = await signUp(http);
  await during(report, `loading ${text}, twice`, async () => {
    await loadMessages(deleted, { from: 2, to: erased });
    await loadMessages({ ...ofAccount, user: account.user }, { from: 2, to: erased });
  });
  await during(report, 'recovering the counters', async () => {
    await flushRedis(stack.urls.REDIS_URL, http, other);
    await untilVerified();
  });

  const quiet: number[] = [];
  const quietly = async () => {
    quiet.push(percentile(await useWhile(http, other, delay(QUIET_MS)), P95));
  };
  const remove = async (
    call: { path: string; authorization: string },
    isLeft: () => Promise<boolean>,
  ): Promise<Gone> => {
    const startedAt = performance.now();
    let answeredMs = Number.NaN;
    const end = async () => {
      const { status, text } = await http.once({ method: 'DELETE', ...call });
      if (status !== 200) throw new Failure(`DELETE ${call.path} was answered ${status} ${text}`);
      answeredMs = performance.now() - startedAt;
      await untilTrue(
        `Something is left after DELETE ${call.path}`,
        async () => {
          await delay(1_000);
          return !(await isLeft());
        },
        WITHIN_MS,
      );
    };
    const times = await useWhile(http, other, end());
    return { answeredMs, goneS: (performance.now() - startedAt) / 1_000, p95: percentile(times, P95) };
  };
  try {
    await during(report, 'other chats alone', quietly);
    const chat = await during(report, `deleting a chat of ${text}`, () =>
      remove(
        {
          path: `/applications/${deleted.token}/chats/${deleted.chatNumber}`,
          authorization: deleted.authorization,
        },
        async () => (await hasBodies(deleted)) || (await isIndexed(deleted)),
      ),
    );
    await during(report, 'other chats alone', quietly);
    const [{ version } = { version: 0 }] = await indexContents().listVersions({
      ...ofAccount,
      afterNumber: erased - 1,
      limit: 1,
    });
    const loaded = { newest: erased, loadedVersion: version };
    const erasedAccount = await during(report, `erasing an account of ${text}`, () =>
      remove(
        { path: '/users/me', authorization: account.basic },
        async () =>
          (await hasBodies({ ...ofAccount, user: account.user })) ||
          !(await isBlankInIndex(ofAccount, loaded)),
      ),
    );
    await during(report, 'other chats alone', quietly);
    return [
      ...rowsOf(`deleting a chat of ${text}`, chat, median(quiet)),
      ...rowsOf(`erasing an account of ${text}`, erasedAccount, median(quiet)),
    ];
  } finally {
    http.close();
  }
};

const rowsOf = (name: string, { answeredMs, goneS, p95 }: Gone, quietP95: number): Row[] => [
  { name: `${name}, until its 200`, unit: 'ms', ours: answeredMs, goal: { of: 'ours', atMost: 1_000 } },
  { name: `${name}, until all is gone`, unit: 's', ours: goneS, goal: { of: 'ours', atMost: 3_600 } },
  {
    name: `${name}, p95 of other chats meanwhile`,
    unit: 'ms',
    ours: p95,
    peer: { name: 'alone', value: quietP95 },
    ratio: p95 / quietP95,
    goal: { of: 'ratio', atMost: 1.5 },
  },
];
