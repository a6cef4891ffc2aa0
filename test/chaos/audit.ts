import { connect } from 'amqplib';
import { Redis } from 'ioredis';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { queueNames } from '#lib/contracts/commands/all.ts';
import { deadQueue, retryQueue } from '#lib/contracts/queues.ts';
import type { IndexDocument } from '#lib/opensearch/index/document.ts';
import { type Api, fieldOf } from './client.ts';
import { markIn } from './forgery.ts';
import {
  type ApplicationRecord,
  type ChatRecord,
  type Creation,
  deletionsOf,
  type Ledger,
  mayBeGone,
  mayShow,
  tagOf,
} from './ledger.ts';
import type { Stores } from './system.ts';

export const kinds = ['lost', 'twice', 'gaps', 'wrong', 'stuck', 'shown', 'admitted'] as const;
/** The contradictions to the answers that clients got, in words, by kind. All are empty if the system is correct. */
export type Findings = Record<(typeof kinds)[number], string[]>;

export const noFindings = (): Findings => ({
  lost: [],
  twice: [],
  gaps: [],
  wrong: [],
  stuck: [],
  shown: [],
  admitted: [],
});
export const isClean = (findings: Findings): boolean => kinds.every((kind) => findings[kind].length === 0);

const commandQueues = queueNames.filter((queue) => queue !== 'index-message');
/** The id of poison that a fault publishes begins with this mark. */
export const poisonMark = 'poison';

const withRedis = async <Result>(url: string, work: (redis: Redis) => Promise<Result>): Promise<Result> => {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 3_000 });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await work(redis);
  } finally {
    redis.disconnect();
  }
};

/** Lists pending work anywhere in the system; empty when the system is at rest. */
export const findUnrest = async ({ keys, ...urls }: Stores): Promise<string[]> => {
  const unrest: string[] = [];
  await withRedis(urls.REDIS_URL, async (redis) => {
    const info = await redis.info();
    const [run, replication] = ['run_id', 'master_replid'].map(
      (field) => new RegExp(`^${field}:(\\w+)`, 'm').exec(info)?.[1],
    );
    if ((await redis.hexists(keys.state, `run:${run}:${replication}`)) === 0)
      unrest.push('the gate before numbering is closed');
    if ((await redis.hexists(keys.state, 'verifying')) === 1)
      unrest.push('counters are still being compared with MySQL');
    for (const queue of commandQueues) {
      const left = await redis.xlen(keys.outbox(queue));
      if (left > 0) unrest.push(`${left} in the outbox of ${queue}`);
    }
    for (const key of [keys.indexOutbox, keys.dirtyApplications, keys.dirtyChats, keys.dirtyMarkers]) {
      const left = await redis.zcard(key);
      if (left > 0) unrest.push(`${left} in ${key}`);
    }
  });
  const connection = await connect(urls.RABBITMQ_URL, { timeout: 3_000 });
  connection.on('error', () => undefined);
  try {
    const channel = await connection.createChannel();
    channel.on('error', () => undefined);
    for (const queue of queueNames) {
      for (const name of [queue, retryQueue(queue)]) {
        const { messageCount } = await channel.checkQueue(name);
        if (messageCount > 0) unrest.push(`${messageCount} ready in ${name}`);
      }
    }
  } finally {
    await connection.close().catch(() => undefined);
  }
  return unrest;
};

/**
 * Removes all dead letters. Poison and forged messages are expected, and a redelivered batch makes them dead letters again.
 * Forged ones are named by the mark in their content.
 */
export const drainDeadLetters = async (
  url: string,
): Promise<{ poison: string[]; forged: string[]; others: string[] }> => {
  const connection = await connect(url, { timeout: 3_000 });
  connection.on('error', () => undefined);
  const poison: string[] = [];
  const forged: string[] = [];
  const others: string[] = [];
  try {
    const channel = await connection.createChannel();
    channel.on('error', () => undefined);
    for (const queue of queueNames) {
      for (;;) {
        const message = await channel.get(deadQueue(queue), { noAck: true });
        if (message === false) break;
        const messageId = String(message.properties.messageId);
        const mark = markIn(String(message.content));
        if (mark !== undefined) forged.push(mark);
        else if (messageId.startsWith(poisonMark)) poison.push(messageId);
        else others.push(`${queue}: ${message.properties.headers?.reason}: ${message.content}`);
      }
    }
  } finally {
    await connection.close().catch(() => undefined);
  }
  return { poison, forged, others };
};

/** Every message of these chats that the index holds: `token:chat:number` to body. */
const readIndex = async (url: string, chats: readonly string[]): Promise<Map<string, string>> => {
  const found = new Map<string, string>();
  const call = async (path: string, body?: object): Promise<unknown> => {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    if (!response.ok) throw new Error(`OpenSearch answered ${response.status}: ${await response.text()}`);
    return response.json();
  };
  await call('/messages/_refresh');
  for (const chat of chats) {
    for (let after = 0, more = true; more; ) {
      const answer = await call('/messages/_search', {
        size: 5_000,
        query: { bool: { filter: [{ term: { chat } }, { range: { messageNumber: { gt: after } } }] } },
        sort: [{ messageNumber: 'asc' }],
        _source: ['messageNumber', 'body', 'original'],
      });
      const { hits } = (answer as { hits: { hits: { _source: IndexDocument }[] } }).hits;
      for (const { _source } of hits)
        found.set(`${chat}:${_source.messageNumber}`, _source.original ?? _source.body);
      after = hits.at(-1)?._source.messageNumber ?? 0;
      more = hits.length === 5_000;
    }
  }
  return found;
};

/** Items that exist twice, or that no client created. */
const auditTags = (
  what: string,
  seen: readonly string[],
  sent: ReadonlyMap<string, Creation>,
  mayRepeat: (creation: Creation) => boolean,
  findings: Findings,
): number => {
  let repeated = 0;
  const counts = new Map<string, number>();
  for (const tag of seen) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  for (const [tag, count] of counts) {
    const creation = sent.get(tag);
    if (creation === undefined) findings.wrong.push(`${what}: nobody sent "${tag}"`);
    else if (count > 1 && mayRepeat(creation)) repeated += count - 1;
    else if (count > 1) findings.twice.push(`${what}: "${tag}" is there ${count} times`);
  }
  return repeated;
};

/**
 * Compares the row of an application or a chat with its deletions. A deletion without an answer may have had its effect.
 * @returns whether the row is deleted
 */
const auditDeletion = (
  what: string,
  item: ApplicationRecord | ChatRecord,
  { row, text }: { row: RowDataPacket; text: string | null },
  findings: Findings,
): boolean => {
  if (row.deleted_at === null) {
    if (item.deletion !== undefined && item.deletion.endedAt < Number.POSITIVE_INFINITY)
      findings.wrong.push(`${what} is not deleted`);
    return false;
  }
  if (!mayBeGone(deletionsOf(item))) findings.lost.push(`${what} was deleted by nobody`);
  if (text !== null && text !== '') findings.wrong.push(`${what} is deleted and has the text "${text}"`);
  return true;
};

const auditNumbers = (what: string, numbers: readonly number[], counter: number, findings: Findings) => {
  numbers.forEach((number, i) => {
    if (number !== i + 1) findings.gaps.push(`${what}: ${number} stands at place ${i + 1}`);
  });
  if (counter !== numbers.length)
    findings.gaps.push(`${what}: the counter says ${counter}, there are ${numbers.length}`);
};

/** The pages of a chat by its cursor links: numbers and bodies in the order of the answers. */
const readPages = async (api: Api, token: string, chat: ChatRecord): Promise<[number, string][]> => {
  const messages: [number, string][] = [];
  let path: string | undefined = `/applications/${chat.token}/chats/${chat.number}/messages?limit=100`;
  while (path !== undefined) {
    const answer = await api('GET', path, { token });
    if (answer.status !== 200 || !Array.isArray(answer.body))
      throw new Error(`GET ${path} was answered ${answer.status}`);
    for (const one of answer.body)
      messages.push([Number(fieldOf(one, 'messageNumber')), String(fieldOf(one, 'body'))]);
    path = /<([^>]+)>; rel="next"/.exec(answer.link ?? '')?.[1];
  }
  return messages;
};

export type AuditOptions = {
  stores: Stores;
  api: Api;
  accessToken: string;
  ledger: Ledger;
  applications: readonly ApplicationRecord[];
  /** Whether the server may have forgotten the key of this request: it spans a loss of Redis. */
  mayRepeat: (creation: Creation) => boolean;
};

/**
 * Compares the answers that clients got with Redis, MySQL, the index, and the pages of the API. Run it when the system is
 * at rest.
 * @returns findings, and the number of creations that ran twice because Redis had lost their keys
 */
export const audit = async (options: AuditOptions): Promise<{ findings: Findings; repeated: number }> => {
  const { api, accessToken, ledger, applications, mayRepeat } = options;
  const { keys, ...urls } = options.stores;
  const findings = noFindings();
  let repeated = 0;
  const tokens = applications.map(({ token }) => token);
  const connection = await createConnection({ uri: urls.MYSQL_URL, connectTimeout: 3_000 });
  connection.on('error', () => undefined);
  const select = async (sql: string, values: unknown[] = []): Promise<RowDataPacket[]> =>
    (await connection.query<RowDataPacket[]>(sql, values))[0];
  let applicationRows: RowDataPacket[];
  let chatRows: RowDataPacket[];
  let messageRows: RowDataPacket[];
  try {
    applicationRows = await select(
      'SELECT token, name, chats_count, deleted_at FROM applications ORDER BY id',
    );
    chatRows = await select(
      'SELECT token, number, title, messages_count, deleted_at FROM chats WHERE token IN (?) ORDER BY token, number',
      [tokens],
    );
    messageRows = await select(
      'SELECT token, chat_number, number, body, created_at, deleted_at FROM messages WHERE token IN (?) ORDER BY token, chat_number, number',
      [tokens],
    );
  } finally {
    connection.destroy();
  }

  const messagesByChat = new Map<string, RowDataPacket[]>();
  for (const row of messageRows) {
    const key = `${row.token}:${row.chat_number}`;
    const rows = messagesByChat.get(key) ?? [];
    rows.push(row);
    messagesByChat.set(key, rows);
  }
  const chatKeys = chatRows.map((row) => `${row.token}:${row.number}`);
  const deletedTokens = new Set(
    applicationRows.flatMap((row): string[] => (row.deleted_at === null ? [] : [row.token])),
  );
  const presentKeys = chatRows
    .filter((row) => row.deleted_at === null && !deletedTokens.has(row.token))
    .map((row) => `${row.token}:${row.number}`);
  const [counters, leftovers] = await withRedis(urls.REDIS_URL, async (redis) => {
    const names = [...tokens, ...chatKeys];
    const counterKeys = [
      ...tokens.map((token) => keys.applicationCounter(token)),
      ...chatRows.map((row) => keys.chatCounter(row.token, row.number)),
    ];
    const values = counterKeys.length === 0 ? [] : await redis.mget(counterKeys);
    const left: string[] = [];
    for (const row of chatRows) {
      for (const key of [keys.pendingOrder, keys.pendingIds, keys.pendingEdits]) {
        const name = key(row.token, row.number);
        if ((await redis.exists(name)) === 1) left.push(`${name} is left in Redis`);
      }
    }
    for (const token of tokens) {
      if ((await redis.exists(keys.pendingChats(token))) === 1)
        left.push(`${keys.pendingChats(token)} is left in Redis`);
    }
    return [new Map(names.map((name, i) => [name, Number(values[i] ?? -1)])), left];
  });
  findings.stuck.push(...leftovers);

  const rowOfToken = new Map(applicationRows.map((row) => [row.token, row]));
  // A renamed application no longer shows its tag. The ledger knows it by its token.
  repeated += auditTags(
    'applications',
    applicationRows.map((row) => ledger.applications.get(row.token)?.tag ?? tagOf(row.name)),
    ledger.sentApplications,
    mayRepeat,
    findings,
  );
  for (const application of applications) {
    const { token } = application;
    const row = rowOfToken.get(token);
    if (row === undefined) {
      findings.lost.push(`application ${token}`);
      continue;
    }
    if (auditDeletion(`application ${token}`, application, { row, text: row.name }, findings)) continue;
    if (!application.name.allows(row.name)) findings.wrong.push(`application ${token}: named "${row.name}"`);
    const chats = chatRows.filter((chat) => chat.token === token);
    auditNumbers(
      `chats of ${token}`,
      chats.map(({ number }) => number),
      counters.get(token) ?? -1,
      findings,
    );
    if (row.chats_count !== chats.length)
      findings.wrong.push(`application ${token}: chats_count ${row.chats_count} of ${chats.length}`);
    repeated += auditTags(
      `chats of ${token}`,
      chats.map(({ number, title }) => application.chats.get(number)?.tag ?? tagOf(title ?? '')),
      application.sent,
      mayRepeat,
      findings,
    );
    const byNumber = new Map(chats.map((chat) => [chat.number, chat]));
    for (const chat of application.chats.values()) {
      const stored = byNumber.get(chat.number);
      if (stored === undefined) findings.lost.push(`chat ${token}/${chat.number}`);
      else if (
        !auditDeletion(`chat ${token}/${chat.number}`, chat, { row: stored, text: stored.title }, findings) &&
        stored.title !== chat.title
      )
        findings.wrong.push(`chat ${token}/${chat.number}: "${stored.title}" instead of "${chat.title}"`);
    }
    for (const stored of chats.filter(({ deleted_at }) => deleted_at === null)) {
      const what = `messages of ${token}/${stored.number}`;
      const messages = messagesByChat.get(`${token}:${stored.number}`) ?? [];
      auditNumbers(
        what,
        messages.map(({ number }) => number),
        counters.get(`${token}:${stored.number}`) ?? -1,
        findings,
      );
      if (stored.messages_count !== messages.length)
        findings.wrong.push(`${what}: messages_count ${stored.messages_count} of ${messages.length}`);
      const chat = application.chats.get(stored.number);
      if (chat === undefined) continue;
      const blank = messages.filter(({ number, body }) => body === '' && !chat.messages.has(number));
      if (blank.length > chat.mayBeBlank)
        findings.wrong.push(`${what}: ${blank.length} are blank, of ${chat.mayBeBlank} that may be`);
      repeated += auditTags(
        what,
        messages
          .filter((row) => !blank.includes(row))
          .map(({ number, body }) => chat.messages.get(number)?.tag ?? tagOf(body)),
        chat.sent,
        mayRepeat,
        findings,
      );
      for (const { number, body, deleted_at } of messages)
        if ((body === '') !== (deleted_at !== null))
          findings.wrong.push(`${what}: ${number} is "${body}", deleted at ${deleted_at}`);
      const bodies = new Map(messages.map(({ number, body }) => [number, body]));
      for (const message of chat.messages.values()) {
        const body = bodies.get(message.number);
        if (body === undefined) findings.lost.push(`${what}: ${message.number}`);
        else if (!mayShow(message, body)) findings.wrong.push(`${what}: ${message.number} is "${body}"`);
      }
    }
  }

  if (urls.OPENSEARCH_URL !== '') {
    const index = await readIndex(urls.OPENSEARCH_URL, presentKeys);
    const present = new Set(presentKeys);
    for (const row of messageRows) {
      if (!present.has(`${row.token}:${row.chat_number}`)) continue;
      const key = `${row.token}:${row.chat_number}:${row.number}`;
      const body = index.get(key);
      index.delete(key);
      // The index may have refused the document that stands for a deleted message, and removed the message instead.
      if (body === undefined && row.deleted_at !== null) continue;
      if (body === undefined) findings.lost.push(`${key} is not in the index`);
      else if (body !== row.body)
        findings.wrong.push(`${key} is "${body}" in the index, "${row.body}" in MySQL`);
    }
    for (const key of index.keys()) findings.wrong.push(`${key} is in the index and not in MySQL`);
  }

  const busiest = applications
    .flatMap(({ chats }) => [...chats.values()])
    .filter(({ token, number }) => presentKeys.includes(`${token}:${number}`))
    .sort((a, b) => b.messages.size - a.messages.size)
    .slice(0, 5);
  for (const chat of busiest) {
    const shown = await readPages(api, accessToken, chat);
    const stored = (messagesByChat.get(`${chat.token}:${chat.number}`) ?? [])
      .sort((a, b) => b.created_at.getTime() - a.created_at.getTime() || b.number - a.number)
      .map(({ number, body }): [number, string] => [number, body]);
    if (JSON.stringify(shown) !== JSON.stringify(stored)) {
      const at = stored.findIndex((one, i) => JSON.stringify(one) !== JSON.stringify(shown[i]));
      findings.wrong.push(
        `the pages of ${chat.token}/${chat.number} show ${shown.length} of ${stored.length}, and at ${at} ${JSON.stringify(shown[at])} instead of ${JSON.stringify(stored[at])}`,
      );
    }
  }

  return { findings, repeated };
};
