/** The Amazon MQ event source for RabbitMQ in serverless-offline; see README.md. */
export type { BasicProperties, HeaderValue, RabbitmqEvent, RabbitmqRecord } from './event-types.ts';
export { ServerlessOfflineRabbitmq as default } from './plugin.ts';
