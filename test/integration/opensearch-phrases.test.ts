import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { indexTexts, type SearchedTexts } from '../support/searched-texts.ts';

/** Texts of which each must be found by each other one, as a phrase in quotes. */
const alike: string[][] = [
  [
    'our GitHub Actions bill',
    'our github actions bill',
    'Our GITHUB ACTIONS bill',
    'our GitHub-Actions bill',
  ],
  ['our wi-fi router', 'the WiFi router', 'a wifi router', 'the Wi\u2011Fi router', 'my WI-FI router'],
];
const phrases: [phrase: string, body: string][] = [
  ...alike
    .map((texts) => texts.map((text) => text.split(' ').slice(1).join(' ')))
    .flatMap((queries, at) =>
      queries.flatMap((query) => (alike[at] ?? []).map((body): [string, string] => [query, body])),
    ),
  ['github actions', 'our GitHub Actions bill'],
  ['GitHub Actions', 'our github actions bill'],
  ['GitHub', 'a github page'],
  ['github', 'a GitHub page'],
  ['iphone case', 'an iPhone case'],
  ['iPhone case', 'an Iphone case'],
  ['youtube video', 'one YouTube video'],
  ['e-mail address', 'my email address'],
  ['email address', 'my E-Mail address'],
  ['e mail address', 'my email address'],
  ['e mail address', 'my e-mail address'],
  ['follow up meeting', 'the follow-up meeting'],
  ['follow-up meeting', 'the follow up meeting'],
  ['followup meeting', 'the follow-up meeting'],
  ['follow up meeting', 'the followup meeting'],
  ['a follow up by e-mail', 'send a follow-up by email'],
  ['macos on my macbook', 'is macOS on my MacBook fine'],
  ['JavaScript and typescript', 'some javascript and TypeScript'],
  ['state of the art', 'a state-of-the-art thing'],
  ['powershell on linux', 'PowerShell on Linux'],
  ['node.js server', 'a NodeJS server'],
  ['nodejs server', 'a Node.js server'],
  ['dont worry', 'please don’t worry'],
  ["don't worry", 'please dont worry'],
  ['mcdonalds burger', 'a McDonalds burger'],
  ["mcdonald's burger", 'a McDonald’s burger'],
  ['ipv6 address', 'an IPv6 address'],
  ['IPv6 address', 'an ipv6 address'],
  ['mp3 player', 'the MP3 player'],
  ['postgresql 17', 'PostgreSQL 17 is out'],
  ['dual boot', 'a dualboot machine'],
  ['вай-фай роутер', 'наш вайфай роутер'],
  ['ВКонтакте группа', 'наша вконтакте группа'],
  ['naïve approach', 'a NAIVE approach'],
  ['acme tools', 'ACME™ tools'],
  ['acme tools', 'ACME® tools'],
  ['acme tools', 'ACME ™ tools'],
  ['acme tools', 'ACME℠ tools'],
  ['acme tools', 'ACME®\ufe0f tools'],
  ['acme tools', '©ACME tools'],
  ['acme tools', 'ACME®-tools'],
  ['ACME™ tools', 'the acme tools'],
  ['2026 acme', '© 2026 ACME'],
  ['learn c++', 'learn **C++** today'],
  ['c++17 code', 'old C++17 code'],
  ['+49 170 1234567', 'call +49 (170) 123-4567'],
];
const others: [phrase: string, body: string][] = [
  ['github actions', 'GitHub has actions'],
  ['actions github', 'our GitHub Actions bill'],
  ['wifi router', 'the wifi and the router'],
  ['git actions', 'our GitHub Actions bill'],
  ['hub for actions', 'our GitHub Actions bill'],
  ['github act', 'our GitHub Actions bill'],
  ['our router', 'our wi-fi router'],
  ['acme tools', 'ACME™ and tools'],
];

const quotes = [
  '"printer is broken"',
  '“printer is broken”',
  '”printer is broken”',
  '„printer is broken“',
  '„printer is broken”',
  '“printer is broken“',
  '“printer is broken"',
  '"printer is broken”',
  '«printer is broken»',
  '« printer is broken »',
  '»printer is broken«',
  '»printer is broken»',
  '‹printer is broken›',
  '›printer is broken‹',
  '‚printer is broken‘',
  '‘printer is broken’',
  '’printer is broken’',
  "'printer is broken'",
  '「printer is broken」',
  '『printer is broken』',
  '｢printer is broken｣',
  '＂printer is broken＂',
  '〝printer is broken〟',
  '❝printer is broken❞',
  '״printer is broken״',
  '‟printer is broken”',
  ",,printer is broken''",
  "``printer is broken''",
  '´printer is broken´',
  '`printer is broken`',
  '″printer is broken″',
];
const quoted = 'the printer is broken';

const numbers: [query: string, body: string][] = [
  ['1701234567', 'call +49 (170) 123-4567'],
  ['491701234567', 'call +49 (170) 123-4567'],
  ['+491701234567', 'call +49 (170) 123-4567'],
  ['01701234567', 'call +49 (0)170 123 45 67'],
  ['491701234567', 'call +49 (0)170 123 45 67'],
  ['1701234', 'call +49 (170) 123-4567'],
  ['1234567', 'call +49 (170) 123-4567'],
  ['(170)123-4567', 'call +49 170 1234567'],
  ['170-123-4567', 'call +49 (170) 123-4567'],
  ['170.123.4567', 'call +49 (170) 123-4567'],
  ['2125550123', 'ring (212) 555-0123 now'],
  ['2125550123', 'ring 212.555.0123 now'],
  ['2125550123', 'ring +1-212-555-0123 now'],
  ['12125550123', 'ring 1 212 555 0123 now'],
  ['2125550123', 'ring (212)555\u20110123 now'],
  ['2079460958', 'London 020 7946 0958'],
  ['02079460958', 'London 020 7946 0958'],
  ['030123456', 'Berlin 030/12 34 56'],
  ['142685300', 'Paris 01 42 68 53 00'],
  ['0142685300', 'Paris 01.42.68.53.00'],
  ['9161234567', 'Москва 8 (916) 123-45-67'],
  ['501234567', 'دبي ٠٥٠ ١٢٣ ٤٥٦٧'],
  ['+49 170 1234567', 'call +491701234567 now'],
  ['+49 (0)170 1234567', 'call +49 170 123 45 67'],
  ['0170 / 1234567', 'call 0170-1234567 now'],
];

let texts: SearchedTexts;
beforeAll(async () => {
  const bodies = [...phrases, ...others, ...numbers].map(([, body]) => body);
  texts = await indexTexts('phrases', [...bodies, quoted, 'broken is the printer']);
}, 60_000);
afterAll(() => texts.remove());
const find = (query: string, body: string) => texts.find(query, body);

describe('a phrase in quotes finds', () => {
  test.each(phrases)('%s: %s', async (phrase, body) => {
    const hits = await find(`"${phrase}"`, body);
    expect(hits.map((hit) => hit.body)).toEqual([body]);
    expect(hits[0]?.highlights?.[0]).toContain('<em>');
  });

  test.each(others)('no other text: %s: %s', async (phrase, body) => {
    expect(await find(`"${phrase}"`, body)).toEqual([]);
  });

  test.each(quotes)('in any pair of quotes: %s', async (query) => {
    expect((await find(query, 'the printer is broken')).map((hit) => hit.body)).toEqual([
      'the printer is broken',
    ]);
    expect(await find(query, 'broken is the printer')).toEqual([]);
  });
});

describe('a phone number is found by its digits', () => {
  test.each(numbers)('%s: %s', async (query, body) => {
    const hits = await find(query, body);
    expect(hits.map((hit) => hit.body)).toEqual([body]);
    expect(hits[0]?.highlights?.[0]).toContain('<em>');
  });
});
