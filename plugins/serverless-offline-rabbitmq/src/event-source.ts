/** The event source alone, for tests that call a handler as AWS does, without serverless-offline. */
export { type Broker, createBroker, type Log } from './broker.ts';
export { createEventSourceMapping, type EventSourceMapping, type Invoke } from './event-source-mapping.ts';
export type { MappingSettings } from './settings.ts';
