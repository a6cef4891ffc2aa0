import { describe, expect, it } from 'vitest';
import { createProject, linkPackages, type Offline, pickLambdaPort, startServerless } from './project.ts';
import { channel, declareQueue, expectQueueEmpty, publish, queue, readyMessages } from './support.ts';

/** The first message of a batch says what the handler does at its first delivery. */
const HANDLER = `
const withCause = () => Object.assign(new Error('has a cause'), { cause: { value: () => {} } });
const actions = {
  'throw an object': async () => { throw { code: 'E' }; },
  'throw undefined': async () => { throw undefined; },
  'throw a string': async () => { throw 'text'; },
  'throw a function': async () => { throw () => {}; },
  'throw synchronously': () => { throw new Error('at once'); },
  'throw an error with a cause that holds a function': async () => { throw withCause(); },
  'throw an error with a symbol': async () => { throw Object.assign(new Error('odd'), { [Symbol('s')]: Symbol('s') }); },
  'reject a promise-like': () => ({ then: (_, reject) => reject(undefined) }),
  'call back with an error': (event, context, callback) => { callback(new Error('called back')); },
  'call back with Unauthorized': (event, context, callback) => { callback('Unauthorized'); },
  'fail the context': (event, context) => { context.fail(undefined); },
  'return a circle': async () => { const circle = {}; circle.self = circle; return circle; },
  'return a bigint': async () => 1n,
  'return a function': async () => () => {},
  'return a function inside': async () => ({ inside: () => {}, symbol: Symbol('s') }),
  'return a proxy': async () => new Proxy({}, {}),
  'return a promise that stays inside': async () => ({ inside: new Promise(() => {}) }),
  'return nothing': async () => {},
  'call back': (event, context, callback) => { callback(null, 'done'); },
  'succeed the context': (event, context) => { context.succeed(); },
  'throw outside of the promise': () => new Promise(() => setTimeout(() => { throw { outside: true }; }, 10)),
  'leave a rejection': () => new Promise(() => { Promise.reject(new Error('left')); }),
  'exit': () => process.exit(3),
};

exports.handler = (event, context, callback) => {
  const [record] = Object.values(event.rmqMessagesByQueue).flat();
  const name = Buffer.from(record.data, 'base64').toString();
  console.log('HAD ' + JSON.stringify([name, record.redelivered, process.env._HANDLER]));
  const action = record.redelivered ? actions['return nothing'] : actions[name];
  return action(event, context, callback);
};
`;

const configOf = (useInProcess: boolean, lambdaPort: number) => `
service: fixture
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
plugins: [serverless-offline-rabbitmq, serverless-offline]
custom:
  serverless-offline-rabbitmq: { url: "\${env:RABBITMQ_URL}" }
  serverless-offline: { lambdaPort: ${lambdaPort}, useInProcess: ${useInProcess} }
functions:
  consume:
    handler: consume.handler
    timeout: 30
    events:
      - rabbitmq:
          arn: arn:aws:mq:us-east-1:123456789012:broker:chat:b-1234
          basicAuthArn: arn:aws:secretsmanager:us-east-1:123456789012:secret:chat
          queue: ${queue}
          maximumBatchingWindow: 0
`;

const RETURNED = [
  'throw an object',
  'throw undefined',
  'throw a string',
  'throw a function',
  'throw synchronously',
  'throw an error with a cause that holds a function',
  'throw an error with a symbol',
  'reject a promise-like',
  'call back with an error',
  'call back with Unauthorized',
  'fail the context',
  'return a circle',
  'return a bigint',
];
const ACKNOWLEDGED = [
  'return a function',
  'return a function inside',
  'return a proxy',
  'return a promise that stays inside',
  'return nothing',
  'call back',
  'succeed the context',
];
/** In process, these end the process itself, as they do for a function of serverless-offline. */
const RETURNED_IN_THREADS = ['throw outside of the promise', 'leave a rejection', 'exit'];

const start = async (useInProcess: boolean, ...options: string[]): Promise<Offline> => {
  await declareQueue();
  const folder = await createProject({
    'serverless.yml': configOf(useInProcess, await pickLambdaPort()),
    'consume.js': HANDLER,
    'package.json': '{"private":true}',
  });
  await linkPackages(folder);
  return startServerless(folder, 'serverless', 'offline', ...options);
};

/** Each run of the handler: the message, and whether it came again. */
const runsOf = ({ output }: Offline): [string, boolean, string][] =>
  [...output().matchAll(/HAD (.*)/g)].map(([, json]) => JSON.parse(json ?? ''));

describe.each([
  { where: 'in a worker thread', useInProcess: false, returned: [...RETURNED, ...RETURNED_IN_THREADS] },
  { where: 'in process', useInProcess: true, returned: RETURNED },
])('a handler $where', { timeout: 180_000 }, ({ useInProcess, returned }) => {
  it('has its batch again after anything thrown, and never ends sls offline', async () => {
    const offline = await start(useInProcess);
    for (const name of [...returned, ...ACKNOWLEDGED]) {
      const before = runsOf(offline).length;
      await publish([name]);
      const expected = returned.includes(name) ? [false, true] : [false];
      const runs = () => runsOf(offline).slice(before);
      await offline.eventually(() => expect(runs()).toHaveLength(expected.length));
      await expectQueueEmpty();
      expect(runs()).toEqual(expected.map((again) => [name, again, 'consume.handler']));
      expect(offline.process.exitCode).toBeNull();
    }
    const failures = offline.output().match(/batch of 1 failed/g);
    expect(failures).toHaveLength(returned.length);
    expect(await readyMessages()).toBe(0);
  });
});

it('--reloadHandler leaves no worker thread behind', { timeout: 120_000 }, async () => {
  const offline = await start(false, '--reloadHandler');
  const run = async (count: number) => {
    for (let left = count; left > 0; left -= 1) {
      const before = runsOf(offline).length;
      channel.sendToQueue(queue, Buffer.from('return nothing'));
      await offline.eventually(() => expect(runsOf(offline)).toHaveLength(before + 1));
    }
    return offline.countThreads();
  };
  const threads = await run(5);
  expect(await run(45)).toBeLessThanOrEqual(threads + 1);
});
