import { Client } from '@opensearch-project/opensearch';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { IndexableMessage } from '#lib/domain/message.ts';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import { createIndexContents } from '../support/index-contents.ts';

/* Each message is in a chat of its own, beside another message that must not match. */

const client = new Client({ node: inject('urls').OPENSEARCH_URL ?? '' });
const prefix = `${inject('names').indexPrefix}text-`;
const index = { ...createMessageIndex({ client, prefix }), ...createIndexContents(client, prefix) };

const other = '— quux zzyzx 🦆 Щ 犬 ฬ';
const pages: string[] = [];
const message = (chatNumber: number, messageNumber: number, body: string): IndexableMessage => ({
  token: 't',
  chatNumber,
  messageNumber,
  senderName: 'ana',
  body,
  createdAt: '2026-01-01T00:00:00.000Z',
  version: 1,
});
const chatOf = (body: string): number => {
  if (!pages.includes(body)) pages.push(body);
  return pages.indexOf(body) + 1;
};

const find = async (text: string, body: string) => {
  const { hits } = await index.search({
    token: 't',
    chatNumber: chatOf(body),
    text,
    limit: 10,
    highlight: true,
  });
  return hits;
};

const found: [kind: string, query: string, body: string][] = [
  ['a word behind colons', 'pair', 'use std::pair here'],
  ['a qualified name', 'std::pair', 'use std::pair here'],
  ['a word behind "d:"', 'driver', 'load d:Driver now'],
  ['an address behind its scheme', 'paul', 'mailto:paul@example.org'],
  ['an address behind its scheme, whole', 'paul@example.org', 'mailto:paul@example.org'],
  ['a port', '3000', 'localhost:3000 answers'],
  ['a drive', 'desktop', 'C:\\Users\\pat\\Desktop'],
  ['a drive letter and a "D"', 'data', 'D:Data and E:Data'],
  ['a ratio', '16', 'at 16:9'],
  ['a condition', 'price', 'if (price<3) stop'],
  ['an assignment', 'limit', 'limit=)'],
  ['an emoticon', ':)', 'nice :)'],
  ['an emoticon before a comma', ':)', 'nice :), thanks'],
  ['an emoticon by its emoji', '🙂', 'nice :)'],
  ['an emoji by its emoticon', ':-)', 'nice 🙂'],
  ['a heart', '<3', 'thanks <3'],
  ['a heart by its emoji', '❤️', 'thanks <3'],
  ['emoticons in a row', ':D', ':) :D'],
  ['the fragment of an address', 'api', 'read https://docs.example.org/rfc#api'],
  ['the word before a fragment', 'rfc', 'read https://docs.example.org/rfc#api'],
  ['a channel', 'basic', 'join abc#basic'],
  ['a hashtag', 'release', 'see #release'],
  ['C#', 'c#', 'we write C#, mostly'],
  ['C# in brackets', 'C#', 'a language (c#)'],
  ['C++', 'c++', 'old C++ code'],
  ['C++ with a standard', 'c++', 'C++: the good parts'],
  ['F#', 'f#', 'some F# here'],
  ['.NET', '.net', 'on .NET 8'],
  ['.NET without its dot', 'net', 'on .NET 8'],
  ['a domain', 'net', 'at example.net'],
  ['ASP.NET', 'asp.net', 'an ASP.NET page'],
  ['an increment', 'count', 'then count++ again'],
  ['a sum', 'abc', 'x=abc++def'],
  ['C++ with its year', 'c++', 'we moved to C++17'],
  ['C++ with its year, whole', 'C++17', 'we moved to C++17'],
  ['the year of C++', '17', 'we moved to C++17'],
  ['C++ in bold', 'c++', 'learn **C++** today'],
  ['C++ in bold and italics', 'C++', 'learn ***C++*** today'],
  ['C++ in italics', 'c++', 'learn _C++_ today'],
  ['C++ in HTML', 'c++', '<b>C++</b> tag'],
  ['C++ in HTML with a class', 'c++', '<span class="x">C++</span>'],
  ['C++ struck out', 'c++', 'no ~~C++~~ here'],
  ['C++ as code', 'c++', 'in `C++` we trust'],
  ['C++ in a table', 'c++', '|Java|C++|Go|'],
  ['C++ in a link', 'c++', '[C++](https://isocpp.org)'],
  ['C++ with a suffix', 'c++', 'a C++-based engine'],
  ['C++ behind a prefix', 'c++', 'mixed Objective-C++ code'],
  ['C++ beside C', 'c++', 'C/C++ and more'],
  ['C++ and its CLI', 'c++', 'old C++/CLI code'],
  ['C++ with an equals sign', 'c++', 'lang=C++;opt=2'],
  ['C++ in Chinese', 'c++', '使用C++开发'],
  ['C++ in Japanese', 'c++', '今日はC++を学ぶ'],
  ['C++ in Korean', 'c++', 'C++로 작성했다'],
  ['C++ in Thai', 'c++', 'เขียนC++อยู่'],
  ['C++ of full width', 'c++', '学习Ｃ＋＋吧'],
  ['C++ with backslashes of Markdown', 'c++', 'learn C\\+\\+ today'],
  ['C# in bold', 'c#', 'we write **C#** now'],
  ['C# with its version', 'c#', 'features of C#12'],
  ['C# in HTML', 'C#', '<code>C#</code>'],
  ['C# with a backslash of Markdown', 'c#', 'a C\\# file'],
  ['C# with a sharp', 'c#', 'a C♯ file'],
  ['F# in underscores', 'f#', 'some __F#__ here'],
  ['C# in Korean', 'c#', 'C#을 배운다'],
  ['C# in a list', 'c#', 'Java;C#;Go'],
  ['.NET in bold', '.net', 'on **.NET** today'],
  ['.NET in HTML', '.NET', '<i>.NET</i> tag'],
  ['.NET with its version', '.net', 'on .NET8 now'],
  ['.NET with a target', '.net', 'target .net6.0 there'],
  ['.NET in Chinese', '.net', '使用.NET开发'],
  ['.NET with a suffix', '.net', 'a .NET-based tool'],
  ['.NET as code', '.net', 'in `.NET` we trust'],
  ['dotnet', 'dotnet', 'on .NET 8'],
  ['Node.js in bold', 'node.js', 'on **Node.js** today'],
  ['a number less than', '3.7', 'load <3.7 today'],
  ['a number less than, with a comma', '3,7', 'load <3,7 heute'],
  ['a version less than', '3.x', 'needs <3.x here'],
  ['a version of three parts less than', '3.10.1', 'needs <3.10.1 here'],
  ['a number of thousands less than', '3,000', 'for <3,000 users'],
  ['a heart before a full stop', '❤', 'love you <3.'],
  ['a heart before dots', '❤', 'love you <3... so'],
  ['a heart before exclamation marks', '<3', 'love you <3!!!'],
  ['a face before a comma and a word', '🙂', 'nice :),thanks'],

  ['decomposed Korean', '회의록', '회의록 정리'.normalize('NFD')],
  ['Korean by its decomposed form', '회의록'.normalize('NFD'), '회의록 정리'],
  ['Korean of half width', '가', '\uffa1\uffc2 here'],
  ['mathematical letters', 'Sale', '𝐒𝐚𝐥𝐞 ends'],
  ['mathematical script', 'hello', '𝓗𝓮𝓵𝓵𝓸 there'],
  ['a word by mathematical letters', '𝗦𝗮𝗹𝗲', 'Sale ends'],
  ['mathematical digits', '2026', 'in 𝟐𝟎𝟐𝟔'],
  ['circled letters', 'new', 'Ⓝⓔⓦ offer'],
  ['letters of full width', 'order', 'Ｏｒｄｅｒ １２'],
  ['digits of full width', '12', 'Ｏｒｄｅｒ １２'],
  ['an address of full width', 'foo@bar.com', 'ｆｏｏ＠ｂａｒ．ｃｏｍ'],
  ['a ligature', 'office', 'the o\ufb03ce'],
  ['superscript digits', 'x2', 'x² + 1'],
  ['a Roman numeral', 'iv', 'chapter Ⅳ'],
  ['Arabic presentation forms', 'مدرسة', 'ﻣﺪﺭﺳﺔ جديدة'],
  ['an Arabic ligature', 'لا', '\ufefb شكرا'],
  ['Hebrew presentation forms', 'שלום', '\ufb2a\u05dc\u05d5\u05dd'],
  ['a zero-width space inside a word', 'printer', 'the prin\u200bter'],
  ['a zero-width non-joiner inside a word', 'printer', 'the prin\u200cter'],
  ['a zero-width joiner inside a word', 'printer', 'the prin\u200dter'],
  ['a byte order mark inside a word', 'printer', 'the prin\ufeffter'],
  ['a soft hyphen inside a word', 'printer', 'the prin\u00adter'],
  ['a word joiner inside a word', 'printer', 'the prin\u2060ter'],
  ['a direction mark inside a word', 'printer', 'the prin\u200eter'],
  ['a query with a zero-width space', 'prin\u200bter', 'the printer'],
  ['Persian with and without its non-joiner', 'میخواهم', 'می\u200cخواهم بروم'],
  ['an apostrophe of letters (U+02BC)', "п'ять", 'пʼять хвилин'],
  ['a typographic apostrophe', 'пʼять', 'п’ять хвилин'],
  ['a plain apostrophe', 'п’ять', "п'ять хвилин"],
  ['an apostrophe left out', 'пять', 'пʼять хвилин'],
  ['an acute accent for an apostrophe', "don't", 'I don´t know'],
  ['a French elision', 'ami', 'l’ami'],
  ['an ʻokina', 'oʻzbek', "o'zbek tili"],
  ['no-break spaces', 'kernel', 'the\u00a0kernel\u202fhangs'],

  ['Hebrew abbreviations', 'צה"ל ארה"ב', 'צה"ל וגם ארה"ב חתמו'],
  ['a Hebrew abbreviation with gershayim', 'צה"ל', 'צה״ל חתמו'],
  ['a Hebrew abbreviation with a curved quote', 'צה״ל', 'צה”ל חתמו'],
  ['a Hebrew abbreviation without its quote', 'צהל', 'צה"ל חתמו'],
  ['a Hebrew abbreviation in a phrase', '"צה"ל חתמו"', 'גם צה"ל חתמו'],
  ['a Hebrew geresh', "צ'ק", 'צ׳ק אחד'],
  ['inches', '5" disk 3" disk', 'a 5" disk and a 3" disk'],
  ['a word beside a quote inside a word', 'hello', 'say"hello"now'],
  ['a phrase in a sentence without spaces', '他说"你好"', '他说"你好"了'],

  ['camel case in a dotted name', 'maxretries', 'set config.maxRetries.value=5'],
  ['camel case in a dotted name, as written', 'maxRetries', 'set config.maxRetries.value=5'],
  ['a dotted name', 'config.maxRetries', 'set config.maxRetries.value=5'],
  ['the beginning of camel case in a dotted name', 'nullpointer', 'java.lang.NullPointerException'],
  ['the end of camel case in a dotted name', 'exception', 'java.lang.NullPointerException'],
  ['the beginning of a dotted name', 'java.lang.Null', 'java.lang.NullPointerException'],
  ['camel case in a dashed name', 'maxretries', 'x-maxRetries-value'],
  ['camel case in an underscored name', 'maxretries', 'config_maxRetries_value'],
  ['camel case in a path', 'mainpage', '/src/app/mainPage.test.ts'],
  ['camel case in a URL', 'userid', 'https://example.org/a/userId?pageSize=5'],
  ['camel case in a query string', 'pagesize', 'https://example.org/a/userId?pageSize=5'],
  ['camel case in an address', 'johnsmith', 'johnSmith.private@example.org'],
  ['camel case mistyped', 'maxretires', 'set config.maxRetries.value=5'],
  ['capitals before a name', 'http', 'window.XMLHttpRequest'],
  ['capitals and a name as one', 'xmlhttprequest', 'window.XMLHttpRequest'],
  ['a part of a dashed name', 'east', 'us-east-1'],
  ['a package', '@scope/name', 'install @scope/name@1.2.3'],
  ['an IPv4 address', '10.0.0.1', 'ping 10.0.0.1 fails'],
  ['a part of an UUID', '550e8400', '550e8400-e29b-41d4-a716-446655440000'],

  ['Cyrillic е for ё', 'ежик', 'Ёжик в тумане'],
  ['Cyrillic ё for е', 'ёжик', 'ежик в тумане'],
  ['a stress mark', 'замок', 'за\u0301мок'],
  ['Ukrainian ї apart', 'їжак', 'і\u0308жак'],
  ['Turkish capitals', 'istanbul', 'İSTANBUL'],
  ['Turkish dotless letters', 'ılık', 'ILIK su'],
  ['Turkish dotless letters as dotted', 'ilik', 'ılık su'],
  ['ß as ss', 'strasse', 'die Straße'],
  ['ss as ß', 'straße', 'STRASSE'],
  ['capital ß', 'straße', 'STRAẞE'],
  ['a final sigma', 'ΟΔΟΣ', 'στην οδός'],
  ['polytonic Greek', 'αθηναι', 'Ἀθῆναι'],
  ['Vietnamese', 'viet nam', 'Việt Nam'],
  ['Vietnamese decomposed', 'Việt', 'Việt Nam'.normalize('NFD')],
  ['Vietnamese đ', 'da nang', 'Đà Nẵng'],
  ['Polish ł', 'lodz', 'Łódź'],
  ['Danish ø', 'smorrebrod', 'smørrebrød'],
  ['marks without end', 'zalgo', 'z\u0300\u0301a\u0302\u0316l\u0317g\u0300\u0301o\u0302'],
  ['Thai, a word in the middle', 'สวัสดี', 'พูดว่าสวัสดีครับ'],
  ['Thai, the last word', 'ครับ', 'พูดว่าสวัสดีครับ'],
  ['Thai am, decomposed', 'ทำงาน', 'เขาท\u0e4d\u0e32งาน'],
  ['Lao', 'ສະບາຍດີ', 'ເວົ້າສະບາຍດີຄຣັບ'],
  ['Khmer', 'សួស្តី', 'និយាយសួស្តីបាទ'],
  ['Burmese', 'မြန်မာ', 'ကျွန်တော်မြန်မာပါ'],
  ['Chinese', '数据库', '请重启数据库服务器'],
  ['Chinese compatibility characters', '金', '\uf90a here'],
  ['Japanese of half width', 'ガラス', '古いｶﾞﾗｽ'],
  ['Japanese decomposed', 'ガラス', '古いガラス'.normalize('NFD')],
  ['hiragana', 'ください', '待ってください'],
  ['a Japanese company sign', '株式会社', '㍿ここ'],
  ['Devanagari', 'हिन्दी', 'मैं हिन्दी बोलता हूँ'],
  ['Devanagari nukta', 'ज़रूर', 'ज\u093cरूर आना'],
  ['Devanagari with a joiner', 'क्ष', 'क्\u200dष यहाँ'],
  ['Tamil', 'வணக்கம்', 'வணக்கம் நண்பரே'],
  ['Bengali', 'বাংলা', 'আমি বাংলা বলি'],
  ['Georgian capitals', 'თბილისი', 'ᲗᲑᲘᲚᲘᲡᲘ'],
  ['Armenian', 'երևան', 'Երևան քաղաք'],
  ['Amharic', 'ሰላም', 'ሰላም ለሁሉም'],
  ['Arabic vowel signs', 'كتاب', 'هذا كِتَابٌ'],
  ['Arabic tatweel', 'كتاب', 'كتـــاب'],
  ['Arabic alef wasla', 'الله', 'بسم ٱلله'],
  ['Quranic marks', 'الرحمن', 'ٱلرَّحۡمَٰنِ'],
  ['Hebrew points', 'שלום', 'שָׁלוֹם לכם'],
  ['a Hebrew maqaf', 'תל אביב', 'תל־אביב'],
  ['Arabic digits', '2026', 'سنة ٢٠٢٦'],
  ['Devanagari digits', '2026', 'साल २०२६'],
  ['an emoji of another skin', '👋', 'hello 👋🏿'],
  ['an emoji asked with a skin', '👋🏻', 'hello 👋'],
  ['an emoji family', '👨‍👩‍👧', 'we 👨‍👩‍👧 here'],
  ['a flag', '🇺🇦', 'from 🇺🇦'],
  ['a keycap', '1', 'step 1️⃣'],
];

const notFound: [kind: string, query: string, body: string][] = [
  ['a heart in a number', '❤', 'load <3.7 today'],
  ['a heart in a number of thousands', '<3', 'for <3,000 users'],
  ['a face in a file name', '😛', 'see :p.txt there'],
  ['a language inside an anchor', 'c#', 'read https://example.org/c#section'],
  ['a language before more signs', 'c++', 'a row of C+++ signs'],
  ['a language inside a word', 'c++', 'abc++ and x'],
  ['a platform inside a domain', '.net', 'at example.network'],
  ['a phone number by fewer than seven digits', '170123', 'call +49 (170) 123-4567'],
  ['a phone number by other digits', '1701234568', 'call +49 (170) 123-4567'],
  ['a face inside a word', '😛', 'use std::pair here'],
  ['a face by its signs inside a word', ':p', 'use std::pair here'],
  ['a language inside an address', 'c#', 'read https://docs.example.org/rfc#api'],
  ['another emoji', '❤️', 'nice :)'],
];

/** What white space separates; U+FEFF is none. */
const wordsOf = (body: string) =>
  body.split(/[^\S\ufeff]+/).filter((word) => /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(word));

beforeAll(async () => {
  await index.prepare();
  for (const [, , body] of [...found, ...notFound]) chatOf(body);
  const batch = pages.flatMap((body, at) => [message(at + 1, 1, body), message(at + 1, 2, other)]);
  expect(await index.write(batch)).toEqual({ refused: [] });
  await index.refresh();
}, 60_000);

afterAll(async () => {
  await client.indices.delete({ index: `${prefix}*` });
  await client.close();
});

describe('search finds', () => {
  test.each(found)('%s: %s', async (_kind, query, body) => {
    expect((await find(query, body)).map((hit) => hit.body)).toEqual([body]);
  });

  test('a message by each of its words, however the query is normalised', async () => {
    const missed: string[] = [];
    for (const body of pages) {
      for (const word of wordsOf(body)) {
        for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'] as const) {
          const hits = await find(word.normalize(form), body);
          if (hits[0]?.body !== body) missed.push(`${form} of ${word} in ${body}`);
        }
      }
    }
    expect(missed).toEqual([]);
  }, 300_000);
});

test('the index takes every text', async () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(...pages.flatMap((body) => body.split(/(?<=\W)|(?=\W)|(?=\p{Lu})/u))),
  );
  const texts = fc.sample(
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join('')),
    2_000,
  );
  const chatNumber = pages.length + 1;
  const { refused } = await index.write(texts.map((text, at) => message(chatNumber, at + 1, text)));
  expect(refused).toEqual([]);
}, 120_000);

describe('search does not find', () => {
  test.each(notFound)('%s: %s', async (_kind, query, body) => {
    expect((await find(query, body)).map((hit) => hit.body)).toEqual([]);
  });
});
