import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The event of test/events for a function, with `${NAME}` replaced. */
export const readEvent = (key: string, values: Record<string, string> = {}): unknown =>
  JSON.parse(
    readFileSync(join(resolve(import.meta.dirname, '../events'), `${key}.json`), 'utf8').replaceAll(
      /\$\{(\w+)\}/g,
      (_placeholder, name: string) => values[name] ?? '',
    ),
  );

/** Functions whose event takes away what other events need, in their order. */
export const lastEvents = [
  'deleteMessage',
  'deleteChat',
  'deleteApplication',
  'signOut',
  'changePassword',
  'eraseUser',
];
