import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { pickPort } from '../../../local/services/index.ts';
import { findUsedPorts } from '../src/ports.ts';
import { createProject, linkPackages, pickLambdaPort, startServerless } from './project.ts';
import { bodiesOf, declareQueue, eventually, publish, queue, startMapping } from './support.ts';

const listen = async (): Promise<number> => {
  const port = await pickPort(undefined);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return port;
};

const functionWith = (...events: unknown[]) => ({ handler: 'consume.handler', events });

it.each([
  ['lambdaPort', 'rabbitmq'],
  ['httpPort', 'httpApi'],
  ['httpPort', 'http'],
  ['websocketPort', 'websocket'],
  ['albPort', 'alb'],
])('a used %s is found for an event of %s', async (option, event) => {
  const used = await listen();
  const free = { host: '127.0.0.1', lambdaPort: 0, httpPort: 0, websocketPort: 0, albPort: 0 };
  const given = { ...free, [option]: used };
  const line = `port ${used} of 127.0.0.1 is in use, perhaps by another "sls offline"; choose another with --${option}, or with ${option} under custom.serverless-offline.`;
  expect(await findUsedPorts(given, [functionWith({ [event]: {} })])).toEqual([line]);
  expect(await findUsedPorts({ ...given, [option]: String(used) }, [functionWith(event)])).toEqual([line]);
  expect(await findUsedPorts(free, [functionWith({ [event]: {} })])).toEqual([]);
});

it('a port that no event needs may be used', async () => {
  const used = await listen();
  const options = { host: '127.0.0.1', lambdaPort: 0, httpPort: used, websocketPort: used, albPort: used };
  expect(await findUsedPorts(options, [functionWith({ rabbitmq: {} }), { handler: 'a.handler' }])).toEqual(
    [],
  );
});

const configOf = (lambdaPort: number) => `
service: fixture
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
plugins: [serverless-offline-rabbitmq, serverless-offline]
custom:
  serverless-offline-rabbitmq: { url: "\${env:RABBITMQ_URL}" }
  serverless-offline: { lambdaPort: ${lambdaPort} }
functions:
  consume:
    handler: consume.handler
    events:
      - rabbitmq:
          arn: arn:aws:mq:us-east-1:123456789012:broker:chat:b-1234
          basicAuthArn: arn:aws:secretsmanager:us-east-1:123456789012:secret:chat
          queue: ${queue}
          maximumBatchingWindow: 1
`;

it('a second sls offline on the same port ends with one line, before it takes a message', {
  timeout: 90_000,
}, async () => {
  await declareQueue();
  const lambdaPort = await pickLambdaPort();
  const folder = await createProject({
    'serverless.yml': configOf(lambdaPort),
    'consume.js': "exports.handler = async () => console.log('HAD a batch');",
    'package.json': '{"private":true}',
  });
  await linkPackages(folder);
  const first = await startServerless(folder, 'serverless', 'offline');
  await first.eventually(() =>
    expect(first.output()).toContain(`listening on http://localhost:${lambdaPort}`),
  );

  const second = await startServerless(folder, 'serverless', 'offline');
  const [exitCode] = await once(second.process, 'exit');
  expect(exitCode).toBe(1);
  expect(second.output()).toContain(
    `port ${lambdaPort} of localhost is in use, perhaps by another "sls offline"`,
  );
  expect(second.output()).not.toMatch(/EADDRINUSE|^\s+at /m);
  expect(second.output()).not.toContain('RabbitMQ event source');

  const other = String(await pickLambdaPort());
  const third = await startServerless(folder, 'serverless', 'offline', '--lambdaPort', other);
  await third.eventually(() => expect(third.output()).toContain('1 other consumer takes from this queue'));

  const { events } = startMapping();
  await eventually(async () => {
    await publish(['shared']);
    expect(events.flatMap(bodiesOf)).toContain('shared');
  });
});
