import { InvokeCommand, type LambdaClient, ListEventSourceMappingsCommand } from '@aws-sdk/client-lambda';
import { createBroker, createEventSourceMapping } from 'serverless-offline-rabbitmq/event-source';

/**
 * Runs the event source mappings of the account, which the emulator only records: it takes messages of each queue from
 * the local broker, and invokes the function in the emulator.
 *
 * @returns the queues, failures so far, and a function that stops the mappings
 */
export const startMappings = async (lambda: LambdaClient, rabbitmqUrl: string, functionPrefix: string) => {
  const url = new URL(rabbitmqUrl);
  const virtualHost = decodeURIComponent(url.pathname.slice(1)) || '/';
  const failures: string[] = [];
  const log = {
    notice: () => undefined,
    warning: () => undefined,
    error: (line: string) => {
      failures.push(line);
    },
  };
  const { EventSourceMappings = [] } = await lambda.send(new ListEventSourceMappingsCommand({}));
  const broker = createBroker({ url, virtualHost, connectionName: 'emulated deploy', log });
  const mappings = EventSourceMappings.flatMap(({ Queues, FunctionArn, EventSourceArn, BatchSize }) => {
    const [queue] = Queues ?? [];
    const name = FunctionArn?.split(':function:')[1];
    if (queue === undefined || !name?.startsWith(functionPrefix)) return [];
    const settings = {
      functionKey: name,
      queue,
      virtualHost,
      eventSourceArn: EventSourceArn ?? '',
      batchSize: BatchSize ?? 1,
      batchingWindowMs: 0,
      consumerTag: queue,
    };
    const invoke = async (event: unknown) => {
      const { FunctionError, Payload } = await lambda.send(
        new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(event) }),
      );
      if (FunctionError) throw new Error(`${name}: ${Payload?.transformToString()}`);
    };
    return [createEventSourceMapping(settings, broker, invoke, log, { firstMs: 100, lastMs: 500 })];
  });
  for (const mapping of mappings) mapping.start();
  return {
    count: mappings.length,
    failures,
    stop: async () => {
      await Promise.all(mappings.map((mapping) => mapping.stop(5_000)));
      await broker.close();
    },
  };
};
