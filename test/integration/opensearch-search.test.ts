import { Client } from '@opensearch-project/opensearch';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { limits } from '#lib/domain/limits.ts';
import type { IndexableMessage } from '#lib/domain/message.ts';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { SearchPosition } from '#lib/opensearch/search/message-search.ts';
import { createIndexContents } from '../support/index-contents.ts';

const client = new Client({ node: inject('urls').OPENSEARCH_URL ?? '' });
const prefix = `${inject('names').indexPrefix}search-`;
const index = { ...createMessageIndex({ client, prefix }), ...createIndexContents(client, prefix) };

let version = 1;
let chats = 0;

const message = (chatNumber: number, messageNumber: number, body: string, token = 't'): IndexableMessage => ({
  token,
  chatNumber,
  messageNumber,
  senderName: 'ana',
  body,
  createdAt: new Date(Date.UTC(2026, 0, 1) + messageNumber * 1000).toISOString(),
  version: version++,
});

/** Puts the texts into a chat of their own, oldest first, and gives a way to search it that answers with texts. */
const chatOf = async (...bodies: string[]) => {
  const chatNumber = ++chats;
  const { refused } = await index.write(bodies.map((body, at) => message(chatNumber, at + 1, body)));
  expect(refused).toEqual([]);
  await index.refresh();
  return async (text: string) => {
    const { hits } = await index.search({ token: 't', chatNumber, text, page: 1, limit: 50 });
    return hits.map(({ body }) => body);
  };
};

beforeAll(async () => {
  await index.prepare();
});

afterAll(async () => {
  await client.indices.delete({ index: `${prefix}*` });
  await client.close();
});

describe('finds', () => {
  test.each([
    ['a word', 'printer', 'the Printer is on fire'],
    ['a word before punctuation', 'fire', 'on fire!'],
    ['the beginning of a word', 'resol', 'set the resolution'],
    ['two letters of a word', 're', 'set the resolution'],
    ['the end of a compound', 'strasse', 'Hauptstraße 5'],
    ['an identifier', 'ERR_CONN_RESET', 'it says ERR_CONN_RESET again'],
    ['a part of an identifier', 'conn', 'it says ERR_CONN_RESET again'],
    ['the beginning of an identifier', 'err_conn_r', 'it says ERR_CONN_RESET again'],
    ['a command', 'apt-get', 'run apt-get update'],
    ['a command written as one', 'aptget', 'run apt-get update'],
    ['a compound written as one, by its parts', 'wi-fi', 'no wifi here'],
    ['two words written as one', 'dual boot', 'it is a dualboot machine'],
    ['a path', '/etc/fstab', 'look into /etc/fstab first'],
    ['the last part of a path', 'fstab', 'look into /etc/fstab first'],
    ['the beginning of a path', '/etc/fst', 'look into /etc/fstab first'],
    ['an address', 'foo@bar.com', 'write to foo@bar.com'],
    ['the host of an address', 'bar.com', 'write to foo@bar.com'],
    ['a version', '2.6.8.1-3-686', 'kernel 2.6.8.1-3-686 hangs'],
    ['the beginning of a version', '2.6.8', 'kernel 2.6.8.1-3-686 hangs'],
    ['the host of a URL', 'archive.ubuntu.com', 'http://archive.ubuntu.com/ubuntu/dists?x=1'],
    ['a part of a URL', 'dists', 'http://archive.ubuntu.com/ubuntu/dists?x=1'],
    ['camel case by its parts', 'element', 'getElementById is null'],
    ['camel case as one', 'getelementbyid', 'getElementById is null'],
    ['letters and digits', 'eth0', 'eth0 is down'],
    ['a name that ends in signs', 'c++', 'I like C++ more'],
    ['one letter wrong', 'rezolution', 'set the resolution'],
    ['one letter missing', 'resoluton', 'set the resolution'],
    ['one letter too many', 'ressolution', 'set the resolution'],
    ['two letters swapped', 'reoslution', 'set the resolution'],
    ['a typo in the text', 'resolution', 'set the resoluton'],
    ['a typo in the first letter', 'desolution', 'set the resolution'],
    ['a typo in a beginning', 'permisson', 'no permissions'],
    ['another case', 'STRASSE', 'die Straße'],
    ['accents left out', 'creme brulee', 'Crème brûlée'],
    ['accents added', 'crème', 'creme brulee'],
    ['accents written apart', 'cafe\u0301', 'café'],
    ['Greek, accents aside', 'ΑΘΗΝΑ', 'στην Αθήνα'],
    ['Cyrillic ё', 'елка', 'Ёлка'],
    ['Cyrillic й written apart', 'и\u0306од', 'йод'],
    ['Arabic alef', 'احمد', 'أحمد هنا'],
    ['Arabic teh marbuta', 'مدرسه', 'هذه مدرسة'],
    ['Arabic vowel signs', 'كتاب', 'هذا كِتَابٌ'],
    ['Arabic tatweel', 'كتاب', 'كتـــاب'],
    ['an Arabic word behind its article', 'كتاب', 'قرأت الكتاب'],
    ['an Arabic word without its article', 'الكتاب', 'هذا كتاب'],
    ['Arabic digits', '123', 'رقم ١٢٣'],
    ['Hebrew, points aside', 'שלום', 'שָׁלוֹם'],
    ['Japanese', '天気', '今日の天気はどうですか'],
    ['one sign', '気', '今日の天気はどうですか'],
    ['katakana of half width', 'カメラ', '古いｶﾒﾗ'],
    ['Latin of full width', 'abc', 'ＡＢＣ'],
    ['Chinese', '数据库', '请重启数据库服务器'],
    ['Chinese, in part', '重启数据库', '数据库要重启了吗,重启数据'],
    ['Korean with its particle', '회의', '오늘 회의는 세 시'],
    ['emoji', '🎉', 'done 🎉'],
    ['emoji among emoji', '🎉', '😀🎉😀'],
    ['emoji of another skin', '👍', 'ok 👍🏽'],
    ['emoji with a variation selector', '❤', 'love ❤️'],
    ['emoji of the basic plane', '☕', 'time for ☕'],
    ['a member of an emoji family', '👧', '👨‍👩‍👧'],
    ['a flag', '🇩🇪', 'from 🇩🇪'],
    ['an emoticon', ':)', 'nice :)'],
    ['an emoticon by its emoji', '🙂', 'nice :)'],
    ['a text around NUL', 'two', 'one\0two'],
  ])('%s: %s', async (_what, text, body) => {
    const search = await chatOf(body, 'nothing of the kind');
    expect(await search(text)).toEqual([body]);
  });

  test.each([
    ['a typo in a short word', 'grab', 'grub'],
    ['a wrong digit', '10049', 'error 10048'],
    ['the parts of a compound in another order', 'get-apt', 'apt-get'],
    ['a part of a compound asked for whole', 'apt-get', 'get it'],
    ['wildcards', 'pri*er', 'printer'],
    ['query syntax', 'body:printer', 'printer'],
    ['signs alone', '*', 'anything * at all'],
    ['an emoji of another kind', '👎', '👍'],
  ])('not %s: %s', async (_what, text, body) => {
    const search = await chatOf(body);
    expect(await search(text)).toEqual([]);
  });

  test('no deleted message, which keeps its place and an empty text', async () => {
    const chatNumber = ++chats;
    const deleted = { ...message(chatNumber, 1, ''), deleted: true as const };
    await index.write([deleted, message(chatNumber, 2, 'here')]);
    await index.refresh();
    const older = { ...message(chatNumber, 1, 'here'), version: deleted.version - 1 };
    expect(await index.write([older])).toEqual({ refused: [] });
    await index.refresh();
    const { hits } = await index.search({ token: 't', chatNumber, text: 'here', limit: 10 });
    expect(hits.map(({ messageNumber }) => messageNumber)).toEqual([2]);
  });

  test('who sent a message, where the index keeps it', async () => {
    const chatNumber = ++chats;
    await index.write([{ ...message(chatNumber, 1, 'hello'), sender: 'anaanaanaanaana1' }]);
    await index.refresh();
    const { hits } = await index.search({ token: 't', chatNumber, text: 'hello', limit: 10 });
    expect(hits).toMatchObject([
      { chatNumber, messageNumber: 1, sender: 'anaanaanaanaana1', senderName: 'ana' },
    ]);
  });

  test('nothing of another chat or application', async () => {
    await index.write([
      message(900, 1, 'secret', 'a'),
      message(901, 1, 'secret', 'a'),
      message(900, 1, 'secret', 'b'),
    ]);
    await index.refresh();
    const { hits } = await index.search({ token: 'a', chatNumber: 900, text: 'secret', page: 1, limit: 10 });
    expect(hits).toEqual([
      expect.objectContaining({ messageNumber: 1, body: 'secret', createdAt: '2026-01-01T00:00:01.000Z' }),
    ]);
  });

  test('every valid text is returned as it was sent', async () => {
    const bodies = [
      '\0',
      'a',
      '\u202Eabc',
      '👨‍👩‍👧',
      ' two  spaces ',
      'x'.repeat(16_000),
      `find ${'long '.repeat(3_000)}`,
    ];
    const search = await chatOf(...bodies.map((body) => `needle ${body}`));
    expect((await search('needle')).sort()).toEqual(bodies.map((body) => `needle ${body}`).sort());
  });
});

describe('ranks', () => {
  test.each([
    ['exact before begun before mistyped', 'printer', ['the printer', 'the printers', 'the prinetr']],
    ['the same where the best is the oldest', 'reboot', ['reboot', 'rebooting', 'rebot']],
    ['all words before some', 'blue printer', ['printer that is blue', 'printer printer printer']],
    ['all words mistyped before some exact', 'yellow printer', ['the yelow prnter', 'yellow']],
    [
      'words as asked before words apart',
      'no space left',
      ['no space left on device', 'there is no more space on the left disk'],
    ],
    ['rare words before common ones', 'the zebra', ['zebra', 'the hen']],
  ])('%s', async (_what, text, expected) => {
    const search = await chatOf(...expected);
    // Among equals the newer would come first: each expected order is against that.
    expect(await search(text)).toEqual(expected);
  });

  test('newer first among equals, then the higher number', async () => {
    const at = '2026-03-01T00:00:00.000Z';
    const chatNumber = ++chats;
    await index.write([
      message(chatNumber, 1, 'printer'),
      { ...message(chatNumber, 2, 'a printer and more words'), createdAt: at },
      { ...message(chatNumber, 3, 'printer printer'), createdAt: at },
      { ...message(chatNumber, 4, 'printer'), createdAt: '1999-12-31T23:59:59.999Z' },
    ]);
    await index.refresh();
    const { hits } = await index.search({ token: 't', chatNumber, text: 'printer', page: 1, limit: 10 });
    expect(hits.map(({ messageNumber }) => messageNumber)).toEqual([3, 2, 1, 4]);
  });

  test('a text in quotes matches exactly', async () => {
    const search = await chatOf('the printer is broken', 'broken is the printer', 'a Printer is broken.');
    expect(await search('"printer is broken"')).toEqual(['a Printer is broken.', 'the printer is broken']);
    expect(await search('"printer is broken" the')).toEqual(['the printer is broken']);
    expect(await search('"printer is brok"')).toEqual([]);
  });
});

describe('pages', () => {
  const everyPage = async (chatNumber: number, upTo?: number, between?: () => Promise<void>) => {
    const numbers: number[] = [];
    for (let page = 1; ; page++) {
      const { hits, hasMore } = await index.search({
        token: 't',
        chatNumber,
        text: 'needle hay',
        page,
        limit: 7,
        ...(upTo !== undefined && { upTo }),
      });
      numbers.push(...hits.map(({ messageNumber }) => messageNumber));
      if (!hasMore) return numbers;
      await between?.();
    }
  };
  const body = (number: number) => ['needle', 'hay needle', 'needles', 'neadle and hay'][number % 4] ?? '';

  test('hold every message once, in one order', async () => {
    const chatNumber = ++chats;
    await index.write(Array.from({ length: 60 }, (_, at) => message(chatNumber, at + 1, body(at))));
    await index.refresh();
    const numbers = await everyPage(chatNumber);
    expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
    expect(await everyPage(chatNumber)).toEqual(numbers);
  });

  test('do not shift while messages arrive, when bounded by a number', async () => {
    const chatNumber = ++chats;
    let last = 0;
    const add = async () => {
      await index.write(Array.from({ length: 10 }, () => message(chatNumber, ++last, body(last))));
      await index.refresh();
    };
    await add();
    await add();
    await add();
    const numbers = await everyPage(chatNumber, last, add);
    expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, at) => at + 1));
  });

  test('continue after a hit as by page, while new messages arrive', async () => {
    const chatNumber = ++chats;
    const add = (first: number) =>
      index.write(Array.from({ length: 30 }, (_, at) => message(chatNumber, first + at, body(first + at))));
    await add(1);
    await index.refresh();
    const wanted = { token: 't', chatNumber, text: 'needle hay', limit: 7, upTo: 30 };
    const byPage = await everyPage(chatNumber, 30);
    const read: number[] = [];
    let after: SearchPosition | undefined;
    for (let more = true; more; ) {
      const { hits, hasMore } = await index.search({ ...wanted, after });
      read.push(...hits.map(({ messageNumber }) => messageNumber));
      after = hits.at(-1)?.position;
      more = hasMore;
      await add(31 + read.length * 30);
      await index.refresh();
    }
    expect(read).toEqual(byPage);
  });

  test('reach a bounded depth', async () => {
    const search = (page: number) => index.search({ token: 't', chatNumber: 1, text: 'x', page, limit: 100 });
    expect(await search(limits.searchDepth / 100)).toEqual({ hits: [], hasMore: false });
    await expect(search(limits.searchDepth / 100 + 1)).rejects.toThrow(RangeError);
  });
});

describe('highlights', () => {
  test.each([
    [
      'printer',
      'the <b>Printer</b> & "co"',
      'the &lt;b&gt;<em>Printer</em>&lt;&#x2F;b&gt; &amp; &quot;co&quot;',
    ],
    ['print', 'the printers', 'the <em>printers</em>'],
    ['prinetr', 'the printer', 'the <em>printer</em>'],
    ['permisson', 'no permissions', 'no <em>permissions</em>'],
    ['strasse', 'Hauptstraße 5', '<em>Hauptstraße</em> 5'],
    ['err_conn_reset', 'got ERR_CONN_RESET', 'got <em>ERR_CONN_RESET</em>'],
    ['天気', '今日の天気は', '今日の<em>天気</em>は'],
    ['👍', 'ok 👍🏽', 'ok <em>👍🏽</em>'],
  ])('%s in %s', async (text, body, expected) => {
    const chatNumber = ++chats;
    await index.write([message(chatNumber, 1, body)]);
    await index.refresh();
    const { hits } = await index.search({ token: 't', chatNumber, text, page: 1, limit: 1, highlight: true });
    expect(hits).toEqual([expect.objectContaining({ body, highlights: [expected] })]);
  });

  test('are a few fragments of a long text', async () => {
    const chatNumber = ++chats;
    await index.write([message(chatNumber, 1, `${'hay '.repeat(1_000)} needle ${'hay '.repeat(1_000)}`)]);
    await index.refresh();
    const { hits } = await index.search({
      token: 't',
      chatNumber,
      text: 'needle',
      page: 1,
      limit: 1,
      highlight: true,
    });
    const [fragment = ''] = hits[0]?.highlights ?? [];
    expect(fragment).toContain('<em>needle</em>');
    expect(fragment.length).toBeLessThan(400);
  });

  // Analysing 1.6 MB takes a busy core several times as long as the other tests take.
  test('are there for a whole page of the longest messages', { timeout: 120_000 }, async () => {
    const chatNumber = ++chats;
    // Words as unequally frequent as in speech, 1.6 MB of them.
    const words = Array.from(
      { length: 3_000 },
      (_, at) => `${at % 7 ? 'printer' : 'driver'}${at.toString(36)}`,
    );
    const long = (seed: number) => {
      let body = `message ${seed}`;
      for (let at = seed; body.length < 16_000; at += 1) {
        body += `${at % 11 ? ' ' : '. '}${words[Math.floor(words.length * (((at * 7919) % 1_009) / 1_009) ** 3)]}`;
      }
      return body.slice(0, 16_000);
    };
    const bodies = Array.from({ length: 100 }, (_, at) => message(chatNumber, at + 1, long(at)));
    for (let at = 0; at < 100; at += 10) await index.write(bodies.slice(at, at + 10));
    await index.refresh();
    const { hits } = await index.search({
      token: 't',
      chatNumber,
      text: 'message print drivr "printer3"',
      limit: 100,
      highlight: true,
    });
    expect(hits).toHaveLength(100);
    expect(hits.filter(({ highlights = [] }) => !highlights.some((html) => html.includes('<em>')))).toEqual(
      [],
    );
  });

  test('answer six callers at once, for phrases without end', { timeout: 240_000 }, async () => {
    const chatNumber = ++chats;
    const body = 'a '.repeat(8_000).trim();
    const bodies = Array.from({ length: 100 }, (_, at) => message(chatNumber, at + 1, body));
    for (let at = 0; at < 100; at += 5) await index.write(bodies.slice(at, at + 5));
    const other = await chatOf('a printer');
    const queries: [hits: number, text: string][] = [
      [100, `"${'a '.repeat(97)}a"`],
      [0, `"${'a '.repeat(97)}b"`],
      [0, `"b ${'a '.repeat(97)}"`],
      [100, `"${'a '.repeat(40)}" "${'a '.repeat(30)}" "a a" a aa aaa`],
      [100, 'a '.repeat(98)],
    ];
    for (const [count, text] of queries) {
      const wanted = { token: 't', chatNumber, text, limit: 100, highlight: true };
      // Each search fails after three seconds without an answer.
      const [plain, ...answers] = await Promise.all([
        other('printer'),
        ...Array.from({ length: 6 }, () => index.search(wanted)),
      ]);
      expect(plain).toEqual(['a printer']);
      for (const { hits } of answers) {
        expect(hits).toHaveLength(count);
        for (const { highlights } of hits) expect(highlights?.[0]).toMatch(/^<em>a[a ]*<\/em>/);
      }
    }
  });
});
