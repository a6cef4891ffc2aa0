// npm run status: how the pipeline keeps up, refreshed until Ctrl-C; once, where the output is no terminal.
// On the servers that the environment names, else on those of the running `npm start`.
import { setTimeout as delay } from 'node:timers/promises';
import type { SystemStatus } from '#lib/upkeep/system-status.ts';
import { findUrls } from './running.ts';
import { apiOf, messageOf } from './services/index.ts';

const REFRESH_MS = 2_000;

const seconds = (value: number | undefined): string =>
  value === undefined ? 'unknown (no answer)' : value === 0 ? 'none' : `${value} s`;

/** A problem comes first in its line, so that a glance down the left edge finds it. */
const mark = (isWell: boolean) => (isWell ? ' ok ' : ' !! ');

const render = ({ queues, signals, oldestCommandSeconds, indexLagSeconds, gate }: SystemStatus): string[] => {
  const width = Math.max(...(queues ?? []).map(({ queue }) => queue.length), 24);
  const row = (isWell: boolean, ...cells: [string, ...string[]]) =>
    `${mark(isWell)} ${cells[0].padEnd(width)}${cells
      .slice(1)
      .map((cell) => cell.padStart(10))
      .join('')}`;
  return [
    row(gate === 'open', 'numbering', gate ?? 'no answer'),
    row((oldestCommandSeconds ?? 999) < 60, 'oldest not in MySQL', seconds(oldestCommandSeconds)),
    row((indexLagSeconds ?? 999) < 60, 'oldest not in the index', seconds(indexLagSeconds)),
    row(
      (signals ?? 50_000) < 50_000,
      'signals for connections',
      signals === undefined ? 'no answer' : `${signals}`,
    ),
    '',
    `     ${'queue'.padEnd(width)}   waiting  deferred      dead`,
    ...(queues?.map(({ queue, ready, retry, dead }) =>
      row(dead === 0 && ready < 10_000, queue, ...[ready, retry, dead].map(String)),
    ) ?? [row(false, 'RabbitMQ does not answer')]),
  ];
};

const main = async (): Promise<void> => {
  Object.assign(process.env, findUrls());
  process.env.JWT_SECRET ||= 'not used by this command but required by the configuration';
  process.env.POWERTOOLS_LOG_LEVEL ??= 'SILENT';
  const { systemStatus } = await import('#lib/runtime/services/upkeep.ts');
  const isWatched = process.stdout.isTTY;
  do {
    const api = apiOf('start');
    const lines = [
      ...(api === undefined ? [] : [`      ${api.url}, live at ${api.socketUrl}`, '']),
      ...render(await systemStatus().read()),
    ];
    // Home, each line to its end, then the rest of the screen: nothing flickers.
    if (isWatched) process.stdout.write('\x1b[H');
    const end = isWatched ? '\x1b[K\n' : '\n';
    process.stdout.write(
      `${new Date().toLocaleTimeString()}${end}${lines.map((line) => line + end).join('')}`,
    );
    if (isWatched) {
      process.stdout.write('\x1b[J');
      await delay(REFRESH_MS);
    }
  } while (isWatched);
};

try {
  if (process.stdout.isTTY) process.stdout.write('\x1b[2J');
  await main();
  process.exit(0);
} catch (error) {
  console.error(messageOf(error));
  process.exit(1);
}
