/**
 * What accepting a message costs in one process, beside a plain script and a confirmed publish. See bench/README.md.
 *
 *   node bench/accept.ts [--rounds 5] [--ms 1500]
 */
import { parseArgs } from 'node:util';
import { silentReport, startServices } from '../local/services/index.ts';
import { median, table } from './measure.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, ms: { type: 'string', default: '1500' } },
});
const [rounds, turnMs] = [Number(values.rounds), Number(values.ms)];
const IN_FLIGHT = [1, 10, 50, 200];

type Work = () => Promise<unknown>;
type Sample = { perSecond: number; cpuMicros: number };

/** Calls with so many at once for a while. */
const turn = async (work: Work, inFlight: number): Promise<Sample> => {
  const cpuBefore = process.cpuUsage();
  const begunAt = performance.now();
  let calls = 0;
  const repeat = async () => {
    while (performance.now() - begunAt < turnMs) {
      await work();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, repeat));
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    perSecond: (calls * 1000) / (performance.now() - begunAt),
    cpuMicros: (user + system) / calls,
  };
};

const stack = await startServices({
  stack: `bench-accept-${process.pid}`,
  environment: {},
  report: silentReport,
  fresh: true,
  only: ['mysql', 'redis', 'rabbitmq'],
});
try {
  const limitsOn = process.env.LIMIT_WRITES === undefined ? { LIMIT_WRITES: '1000000/1' } : {};
  Object.assign(process.env, stack.urls, limitsOn, {
    OPENSEARCH_URL: '',
    JWT_SECRET: stack.secret('jwt'),
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  });
  const { handler: migrate } = await import('../functions/operations/migrate.ts');
  const { handler } = await import('../functions/http/messages/create-message.ts');
  const { submit } = await import('#lib/runtime/services.ts');
  const { bodyOf, createChat } = await import('./conversation.ts');
  const { callFunction, lambdaContext } = await import('./function-call.ts');
  const { openRawAccept } = await import('./fixtures/raw-accept.ts');
  await migrate({}, lambdaContext());
  const { token, chatNumber, user, authorization } = await createChat();
  const raw = await openRawAccept({ redis: stack.urls.REDIS_URL, rabbitmq: stack.urls.RABBITMQ_URL });
  let index = 0;
  const nextBody = () => {
    index += 1;
    return bodyOf(index);
  };
  const works: Record<string, Work> = {
    raw: () => raw.accept(nextBody()),
    submit: () =>
      submit().message({
        token,
        chatNumber,
        senderId: user.id,
        senderName: user.name,
        body: nextBody(),
        createdAtMs: Date.now(),
      }),
    handler: () =>
      callFunction(handler, {
        method: 'POST',
        route: '/applications/{token}/chats/{chatNumber}/messages',
        path: { token, chatNumber: String(chatNumber) },
        authorization,
        body: { body: nextBody() },
      }),
  };
  const rows = [['in flight', ...Object.keys(works).flatMap((name) => [`${name}/s`, 'µs CPU', 'of raw'])]];
  for (const inFlight of IN_FLIGHT) {
    const samples: Record<string, Sample[]> = {};
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, work] of Object.entries(works)) {
        const sample = await turn(work, inFlight);
        // The first round warms up.
        if (round > 0) samples[name] = [...(samples[name] ?? []), sample];
      }
    }
    // Ratios of each round: whatever else the machine does then meets all alike.
    const ratio = (name: string) =>
      median((samples[name] ?? []).map(({ perSecond }, i) => perSecond / (samples.raw?.[i]?.perSecond ?? 1)));
    rows.push([
      String(inFlight),
      ...Object.entries(samples).flatMap(([name, of]) => [
        Math.round(median(of.map(({ perSecond }) => perSecond))).toLocaleString('en'),
        Math.round(median(of.map(({ cpuMicros }) => cpuMicros))).toString(),
        ratio(name).toFixed(2),
      ]),
    ]);
  }
  console.log(table(rows));
  await raw.close();
} finally {
  await stack.stop();
}
process.exit(0);
