import type * as z from 'zod';
import type { FieldError } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';

/** An empty name is shown in quotes, because an empty path would name nothing. */
const nameOf = (key: PropertyKey): string => (key === '' ? '""' : String(key));

/** The path of a field, as errors show it. @param whole the path of the input itself */
export const pathOf = (keys: readonly PropertyKey[], whole = 'body'): string =>
  [...keys.map(nameOf).join('.')].slice(0, limits.errorPath).join('') || whole;

/** @param whole the path of the input itself */
export const fieldErrorsOf = ({ issues }: z.ZodError, whole?: string): FieldError[] =>
  issues.flatMap(({ path, message, ...issue }): FieldError[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys
          .slice(0, limits.errors)
          .map((key) => ({ path: pathOf([...path, key], whole), message: 'Is not a known field' }))
      : [{ path: pathOf(path, whole), message }],
  );

/** The first error of each field, up to the limit of errors. */
export const summaryOf = (errors: readonly FieldError[]): FieldError[] => {
  const first = new Map<string, FieldError>();
  for (const error of errors) if (!first.has(error.path)) first.set(error.path, error);
  return [...first.values()].slice(0, limits.errors);
};
