/**
 * Measures the quality of search: runs judged queries on our search and on two baselines, and prints their results.
 *
 *   npm run bench:search -- [corpus.ndjson [queries.json]]
 *
 * It uses the servers of MYSQL_URL and OPENSEARCH_URL if they are set, in a database and indexes of its own, and starts
 * missing ones. Without a corpus, it runs only the queries on the bench's own messages, among made-up text.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Client } from '@opensearch-project/opensearch';
import { createConnection } from 'mysql2/promise';
import { startServices, terminalReport } from '../../local/services/index.ts';
import { compareApplication } from './application.ts';
import { type Engine, mysqlFullText, ourSearch, plainMatch } from './engines.ts';
import { type BenchQuery, judge, mean, measure, type Quality } from './judgement.ts';
import {
  type BenchMessage,
  madeUpMessages,
  numbered,
  ownChat,
  readCorpus,
  readOwnMessages,
} from './messages.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { verbose: { type: 'boolean' } },
});
const [corpusPath, queriesPath] = positionals;

const stack = await startServices({
  stack: `bench-search-${process.pid}`,
  environment: process.env,
  report: terminalReport(process.stderr),
  fresh: true,
  only: ['mysql', 'opensearch'],
});
try {
  const { MYSQL_URL, OPENSEARCH_URL } = stack.urls;
  if (OPENSEARCH_URL === undefined) throw new Error('There is no OpenSearch to measure: set OPENSEARCH_URL.');
  await bench(MYSQL_URL, OPENSEARCH_URL);
} finally {
  await stack.stop();
}

async function bench(mysqlUrl: string, openSearchUrl: string) {
  const own = await readOwnMessages();
  const corpus = corpusPath ? await readCorpus(corpusPath) : madeUpMessages(2_000);
  const messages = numbered([...corpus, ...own]);
  const byChat = Map.groupBy(messages, ({ chat }) => chat);
  const file = queriesPath ?? new URL('queries.json', import.meta.url);
  const all = JSON.parse(await readFile(file, 'utf8')) as BenchQuery[];
  const queries = corpusPath ? all : all.filter(({ chat }) => chat === ownChat);

  const run = `bench-${process.pid}`;
  const client = new Client({ node: openSearchUrl, requestTimeout: 60_000 });
  const connection = await createConnection(mysqlUrl);
  const engines = [
    ourSearch(client, run),
    plainMatch(client, run),
    mysqlFullText(connection, run.replace('-', '_')),
  ];
  try {
    const results: Result[] = [];
    for (const engine of engines) {
      await engine.load(messages);
      for (const query of queries) results.push(await ask(engine, query, byChat.get(query.chat) ?? []));
    }
    console.log(`${messages.length} messages in ${byChat.size} chats, ${queries.length} queries\n`);
    console.log(table(results, engines));
    console.log(`\n${await compareApplication(client, run, messages)}`);
    if (values.verbose) for (const line of misses(results)) console.log(line);
  } finally {
    await Promise.allSettled(engines.map((engine) => engine.drop()));
    await connection.end();
    await client.close();
  }
}

type Result = { engine: string; query: BenchQuery; quality: Quality; ms: number };

async function ask(engine: Engine, query: BenchQuery, chat: readonly BenchMessage[]): Promise<Result> {
  const grades = judge(query, chat);
  const started = performance.now();
  const answer = await engine.search(query.chat, query.text);
  return { engine: engine.name, query, quality: measure(answer, grades), ms: performance.now() - started };
}

function table(results: readonly Result[], engines: readonly Engine[]): string {
  const kinds = [...new Set(results.map(({ query }) => query.kind))];
  const number = (value: number) => value.toFixed(3);
  const row = (label: string, of: readonly Result[]) => {
    const cells = engines.map(({ name }) => {
      const { recall, reciprocalRank, ndcg } = mean(
        of.filter(({ engine }) => engine === name).map((r) => r.quality),
      );
      return `${number(recall)} ${number(reciprocalRank)} ${number(ndcg)}`;
    });
    return `| ${label} | ${of.length / engines.length} | ${cells.join(' | ')} |`;
  };
  const medians = engines.map(({ name }) => {
    const times = results
      .filter(({ engine }) => engine === name)
      .map(({ ms }) => ms)
      .sort((a, b) => a - b);
    return `${(times[Math.floor(times.length / 2)] ?? 0).toFixed(1)} ms`;
  });
  return [
    'recall@10, MRR, nDCG@10:',
    '',
    `| kind | queries | ${engines.map(({ name }) => name).join(' | ')} |`,
    `|---|---|${engines.map(() => '---').join('|')}|`,
    ...kinds.map((kind) =>
      row(
        kind,
        results.filter(({ query }) => query.kind === kind),
      ),
    ),
    row('**all**', results),
    `| median time | | ${medians.join(' | ')} |`,
  ].join('\n');
}

function misses(results: readonly Result[]): string[] {
  return results
    .filter(({ quality }) => quality.ndcg < 0.999)
    .map(
      ({ engine, query, quality }) => `${engine}: ${query.kind}: ${query.text} → ${JSON.stringify(quality)}`,
    );
}
