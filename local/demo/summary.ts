import type { Report } from '../services/index.ts';
import type { Check } from './checks.ts';
import { noDifference } from './comparison.ts';
import { count, seconds } from './progress.ts';

const percentile = (sorted: Float64Array, part: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;

/** The times of a replay, by performance.now(). */
export type Replay = { tookMs: Float64Array; begunAt: number; acceptedAt: number };

export const sayRate = (
  { tookMs, begunAt, acceptedAt }: Replay,
  chatsInParallel: number,
  retries: number,
  { say }: Report,
): void => {
  const sendingMs = acceptedAt - begunAt;
  const rate = Math.round((tookMs.length / sendingMs) * 1000);
  const parts = [
    `${count(tookMs.length)} messages in ${seconds(sendingMs)} s: ${count(rate)}/s, ${chatsInParallel} chats at a time`,
    `one took ${percentile(tookMs, 0.5).toFixed(0)} ms (p50), ${percentile(tookMs, 0.99).toFixed(0)} ms (p99)`,
    ...(retries > 0 ? [`${retries} requests were sent again`] : []),
  ];
  say(`  Accepted     ${parts.join('; ')}`);
};

export const sayChecks = (
  { numbered, counts, countsAgree, differences }: Check,
  stores: readonly { name: string; allThereMs: number }[],
  { chats, messages }: { chats: number; messages: number },
  { say }: Report,
): void => {
  say(`  Numbers      ${numbered ? '1…n in the order of the file, in every chat' : 'NOT 1…n in every chat'}`);
  say(
    `  Counts       ${countsAgree ? `${count(chats)} chats, ${count(messages)} messages: as accepted` : `NOT as accepted: ${JSON.stringify(counts)}`}`,
  );
  stores.forEach(({ name, allThereMs }, index) => {
    const { missing, twice, foreign, changed, examples } = differences[index] ?? noDifference();
    say(
      `  ${name.padEnd(11)}  all there ${seconds(allThereMs)} s after the last was accepted; missing ${missing}, twice ${twice}, foreign ${foreign}, changed ${changed}`,
    );
    for (const example of examples) say(`    ${example}`);
  });
  if (stores.length === 1) say('  OpenSearch   not available: no search, no comparison');
};
