import { unescape as decode } from 'node:querystring';
import { credentials } from 'amqplib';

/**
 * The user and password of an AMQP URL, as options of amqplib. Without them amqplib decodes them as Latin-1, and RabbitMQ
 * refuses every character beyond ASCII.
 */
export const credentialsIn = (url: string): { credentials?: ReturnType<typeof credentials.plain> } => {
  const { username, password } = new URL(url);
  if (username === '' && password === '') return {};
  return { credentials: credentials.plain(decode(username), decode(password)) };
};
