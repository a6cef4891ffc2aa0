import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { indexTexts, type SearchedTexts } from '../support/searched-texts.ts';

const marked: [query: string, body: string, expected: string][] = [
  ['Sale', '𝐒𝐚𝐥𝐞 ends', '<em>𝐒𝐚𝐥𝐞</em> ends'],
  [
    '회의록',
    '회의록 정리'.normalize('NFD'),
    `<em>${'회의록'.normalize('NFD')}</em> ${'정리'.normalize('NFD')}`,
  ],
  ["п'ять", 'пʼять хвилин', '<em>пʼять</em> хвилин'],
  ['printer', 'the prin\u200bter', 'the <em>prin\u200bter</em>'],
  ['צה"ל', 'צה״ל חתמו', '<em>צה״ל</em> חתמו'],
  ['สวัสดี', 'พูดว่าสวัสดีครับ', 'พูดว่า<em>สวัสดี</em>ครับ'],
  ['🙂', 'nice :)', 'nice <em>:)</em>'],
  ['❤️', 'thanks <3', 'thanks <em>&lt;3</em>'],
  ['maxretries', 'set config.maxRetries.value=5', 'set config.<em>maxRetries</em>.value=5'],
  ['ตลาด', 'ไปตลาดสดตอนเช้ากับแม่', 'ไป<em>ตลาด</em>สดตอนเช้ากับแม่'],
  ['แม่', 'ไปตลาดสดตอนเช้ากับแม่', 'ไปตลาดสดตอนเช้ากับ<em>แม่</em>'],
  ['ทำงาน', 'เขาทำงานที่บ้าน', 'เขา<em>ทำงาน</em>ที่บ้าน'],
  ['ສະບາຍດີ', 'ເວົ້າສະບາຍດີຄຣັບ', 'ເວົ້າ<em>ສະບາຍດີ</em>ຄຣັບ'],
  ['សួស្តី', 'និយាយសួស្តីបាទ', 'និយាយ<em>សួស្តី</em>បាទ'],
  ['မြန်မာ', 'ကျွန်တော်မြန်မာပါ', 'ကျွန်တော်<em>မြန်မာ</em>ပါ'],
  ['数据库', '请重启数据库服务器', '请重启<em>数据库</em>服务器'],
  ['カメラ', '古いｶﾒﾗを買う', '古い<em>ｶﾒﾗ</em>を買う'],
  ['ください', '待ってくださいね', '待って<em>ください</em>ね'],
  ['メーカー', '大手メーカーの車', '大手<em>メーカー</em>の車'],
  ['회의', '오늘 회의는 세 시', '오늘 <em>회의</em>는 세 시'],
  ['👨', 'trip with 👨‍👩‍👧‍👦 today', 'trip with <em>👨‍👩‍👧‍👦</em> today'],
  ['👧', 'trip with 👨‍👩‍👧‍👦 today', 'trip with <em>👨‍👩‍👧‍👦</em> today'],
  ['❤', 'my ❤️‍🔥 burns', 'my <em>❤️‍🔥</em> burns'],
  ['👋', 'hello 👋🏿 there', 'hello <em>👋🏿</em> there'],
  ['🏳', 'a 🏳️‍🌈 flag', 'a <em>🏳️‍🌈</em> flag'],
  ['🇺🇦', 'from 🇩🇪🇺🇦🇫🇷', 'from 🇩🇪<em>🇺🇦</em>🇫🇷'],
  ['1', 'step 1️⃣ done', 'step <em>1️⃣</em> done'],
  ['c++', 'learn **C++** today', 'learn **<em>C++</em>** today'],
  ['c++', 'we moved to C++17', 'we moved to <em>C++</em>17'],
  ['c++17', 'we moved to C++17', 'we moved to <em>C++17</em>'],
  ['.net', 'on **.NET** 8', 'on **<em>.NET</em>** 8'],
  ['acme', 'the ACME™ tools', 'the <em>ACME</em>™ tools'],
  ['"acme tools"', 'the ACME™ tools', 'the <em>ACME™ tools</em>'],
  ['"github actions"', 'our GitHub-Actions bill', 'our <em>GitHub-Actions</em> bill'],
  ['"wifi router"', 'our Wi-Fi router', 'our <em>Wi-Fi router</em>'],
  ['1701234567', 'call +49 (170) 123-4567 now', 'call +49 (<em>170) 123-4567</em> now'],
  ['house', 'a mouse in the house', 'a mouse in the <em>house</em>'],
  ['lodz', 'w Łodzi i Łódź', 'w <em>Łodzi</em> i <em>Łódź</em>'],
  ['كتاب', 'قرأت الكتاب أمس', 'قرأت <em>الكتاب</em> أمس'],
  ['重启数据库', '数据库要重启了', '<em>数据库</em>要<em>重启</em>了'],
  ['price', 'if (price<3) stop', 'if (<em>price</em>&lt;3) stop'],
];

let texts: SearchedTexts;
beforeAll(async () => {
  texts = await indexTexts(
    'marks',
    marked.map(([, body]) => body),
  );
}, 60_000);
afterAll(() => texts.remove());

describe('marks', () => {
  test.each(marked)('%s in %s, as it was sent', async (query, body, expected) => {
    expect((await texts.find(query, body)).map(({ highlights }) => highlights)).toEqual([[expected]]);
  });
});
