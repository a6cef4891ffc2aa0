import type { Template } from '../packages.ts';

/** Whether a property forbids the deletion of its resource, whatever its service calls it. */
const forbidsDeletion = ([name, value]: [string, unknown]): boolean =>
  /^(deletion|termination)protection/i.test(name.replaceAll('_', '')) &&
  !['false', 'inactive', 'disabled'].includes(String(value).toLowerCase());

/** Resources that stay when the stack operation that created them is rolled back. The next attempt finds their names taken. */
export const rollbackFindings = ({ Resources }: Template): string[] =>
  Object.entries(Resources).flatMap(([id, { DeletionPolicy, Properties }]) => [
    ...(DeletionPolicy === 'Retain' ? [`${id} stays after a rollback: its DeletionPolicy is Retain`] : []),
    ...Object.entries(Properties ?? {})
      .filter(forbidsDeletion)
      .map(([name]) => `${id} stays after a rollback: ${name} is set when it is created`),
  ]);
