import { setTimeout as delay } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { type Cell, secretArn, startCell } from '../support/cell.ts';
import { lastEvents, readEvent } from '../support/event-file.ts';

let cell: Cell;
let values: Record<string, string>;
/** Functions whose event another test depends on, in their order. */
const first = ['migrate', 'signUp', 'createToken', 'createApplication', 'createChat', 'createMessage'];
const consumersFirst = ['persistApplication', 'persistChat', 'persistMessage'];

type Answer = { statusCode: number; body?: string };
const callOnce = async (key: string, event: unknown): Promise<unknown> => {
  const lambda = await cell.start(key);
  try {
    return (await lambda.invoke(event)).result;
  } finally {
    await lambda.stop();
  }
};
const bodyOf = (answer: unknown): Record<string, string> => JSON.parse((answer as Answer).body ?? '{}');

beforeAll(async () => {
  cell = await startCell('dev', inject('urls'), { indexPrefix: inject('names').indexPrefix });
});
afterAll(() => cell?.stop());

it('migrates as a custom resource of a deploy, which CloudFormation hears of', async () => {
  await callOnce('migrate', {
    RequestType: 'Create',
    ResponseURL: cell.customResources.url,
    StackId: 'stack',
    RequestId: 'request',
    LogicalResourceId: 'Migration',
    ResourceProperties: {},
  });
  expect(cell.customResources.answers).toEqual([expect.objectContaining({ Status: 'SUCCESS' })]);
});

it('signs up, signs in, and accepts writes, each function from its archive', {
  timeout: 120_000,
}, async () => {
  expect(await callOnce('signUp', readEvent('signUp'))).toMatchObject({ statusCode: 200 });
  const { accessToken = '' } = bodyOf(await callOnce('createToken', readEvent('createToken')));
  values = { ACCESS_TOKEN: accessToken };
  const { token = '' } = bodyOf(await callOnce('createApplication', readEvent('createApplication', values)));
  const deleted = bodyOf(await callOnce('createApplication', readEvent('createApplication', values)));
  values = { ...values, TOKEN: token, DELETED_TOKEN: deleted.token ?? '' };
  for (const chatNumber of [1, 2])
    expect(await callOnce('createChat', readEvent('createChat', values))).toMatchObject({
      statusCode: 200,
      body: JSON.stringify({ chatNumber }),
    });
  expect(await callOnce('createMessage', readEvent('createMessage', values))).toMatchObject({
    statusCode: 200,
    body: '{"messageNumber":1}',
  });
});

/** @returns the functions whose answer to their event is not a success, with it */
const refusedAmong = async (keys: readonly string[]) => {
  const answers: Record<string, unknown> = {};
  for (const key of keys) answers[key] = await callOnce(key, readEvent(key, values));
  return Object.entries(answers).filter(
    ([key, answer]) =>
      answer !== null &&
      typeof answer === 'object' &&
      'statusCode' in answer &&
      answer.statusCode !== (key === 'rejectUnknownRoute' ? 404 : 200),
  );
};

it('answers the event of every other function', { timeout: 240_000 }, async () => {
  const others = cell.functionKeys.filter(
    (key) => ![...first, ...consumersFirst, ...lastEvents].includes(key),
  );
  expect(await refusedAmong([...consumersFirst, ...others])).toEqual([]);
});

it('reports the numbers that alarms watch, from the archive', async () => {
  const lambda = await cell.start('reportMetrics');
  await lambda.invoke({});
  const lines: Record<string, unknown>[] = lambda
    .output()
    .split('\n')
    .filter((line) => line.includes('"_aws"'))
    .map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({
    OldestCommand: expect.any(Number),
    IndexLag: expect.any(Number),
    GateClosed: 0,
    AllDeadLetters: expect.any(Number),
  });
  expect(lines.slice(1).map(({ Queue }) => Queue)).toContain('create-message');
  await lambda.stop();
});

it('does not load with a secret that its role may not read', async () => {
  const lambda = await cell.start('getDocs');
  expect((await lambda.invoke(readEvent('getDocs'))).result).toMatchObject({ statusCode: 200 });
  expect(lambda.output()).not.toContain('AccessDenied');
  await lambda.stop();
});

it('takes a rotated password at the next call, without a deploy', { timeout: 60_000 }, async () => {
  const url = new URL(inject('urls').MYSQL_URL);
  const root = await createConnection(url.href);
  const setPassword = async (password: string) => {
    await root.query(`CREATE OR REPLACE USER 'rotated'@'%' IDENTIFIED BY '${password}'`);
    await root.query(`GRANT ALL ON \`${url.pathname.slice(1)}\`.* TO 'rotated'@'%'`);
    const own = new URL(url);
    own.username = 'rotated';
    own.password = password;
    return own.href;
  };
  const endSessions = async () => {
    const [sessions] = await root.query<import('mysql2').RowDataPacket[]>(
      "SELECT id FROM information_schema.processlist WHERE user = 'rotated'",
    );
    for (const { id } of sessions) await root.query(`KILL ${id}`);
  };
  const arn = secretArn('MysqlUrl');
  cell.secrets.values.set(arn, await setPassword('first'));
  const lambda = await cell.start('getHealth');
  try {
    const call = async () => (await lambda.invoke(readEvent('getHealth'))).result as Answer;
    expect(await call()).toMatchObject({ statusCode: 200 });
    const rotated = await setPassword('second');
    cell.secrets.values.set(arn, rotated);
    await endSessions();
    // The first call meets the refusal. Secrets are read again five seconds after the last time at the soonest.
    await expect.poll(async () => (await call()).statusCode, { timeout: 30_000, interval: 500 }).toBe(200);
  } finally {
    cell.secrets.values.set(arn, url.href);
    await lambda.stop();
    await root.query("DROP USER IF EXISTS 'rotated'@'%'");
    await root.end();
  }
});

it('answers right at the first call after it was frozen for 75 seconds', { timeout: 180_000 }, async () => {
  const keys = ['createMessage', 'listMessages', 'searchMessages', 'getHealth'];
  const lambdas = await Promise.all(keys.map((key) => cell.start(key)));
  const callAll = () =>
    Promise.all(
      lambdas.map(async (lambda, i) => {
        const { result } = await lambda.invoke(readEvent(keys[i] ?? '', values));
        return `${keys[i]}: ${(result as Answer).statusCode}`;
      }),
    );
  const well = keys.map((key) => `${key}: 200`);
  expect(await callAll()).toEqual(well);
  for (const lambda of lambdas) lambda.freeze();
  // Longer than each heartbeat and idle time-out of the drivers.
  await delay(75_000);
  for (const lambda of lambdas) lambda.thaw();
  expect(await callAll()).toEqual(well);
  await Promise.all(lambdas.map((lambda) => lambda.stop()));
});

it('answers the events that take something away', { timeout: 120_000 }, async () => {
  expect(await refusedAmong(lastEvents)).toEqual([]);
});
