import * as z from 'zod';
import type { RouteContract } from '#lib/contracts/route.ts';
import { badInput, type FieldError } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import type { HttpMiddleware } from './middleware.ts';

const noQuery = z.strictObject({});

const pathOf = (keys: readonly PropertyKey[]): string =>
  [...keys.join('.')].slice(0, limits.errorPath).join('') || 'body';

const errorsOf = ({ issues }: z.ZodError): FieldError[] =>
  issues.flatMap(({ path, message, ...issue }): FieldError[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys
          .slice(0, limits.errors)
          .map((key) => ({ path: pathOf([...path, key]), message: 'Is not a known field' }))
      : [{ path: pathOf(path), message }],
  );

/** API Gateway joins the values of a repeated parameter with commas, which hides that there were several. */
const repeatedIn = (query: string): FieldError[] => {
  const known = new Set<string>();
  return [...new URLSearchParams(query).keys()].flatMap((name): FieldError[] => {
    if (known.has(name)) return [{ path: pathOf([name]), message: 'Must be given once' }];
    known.add(name);
    return [];
  });
};

/** The first error of each field, up to the limit of errors. */
const summaryOf = (errors: FieldError[]): FieldError[] => {
  const first = new Map<string, FieldError>();
  for (const error of errors) if (!first.has(error.path)) first.set(error.path, error);
  return [...first.values()].slice(0, limits.errors);
};

type Given = { path: unknown; query: unknown; rawQuery: string; body: unknown };

/**
 * @returns the fields of path, query and body in one object, as the contract's schemas give them
 * @throws badInput that names every invalid field
 */
const inputOf = ({ request }: RouteContract, given: Given): Record<string, unknown> => {
  const input: Record<string, unknown> = {};
  const errors: FieldError[] = [];
  const check = (schema: z.ZodType | undefined, value: unknown) => {
    if (schema === undefined) return;
    const result = schema.safeParse(value);
    if (result.success) Object.assign(input, result.data);
    else errors.push(...errorsOf(result.error));
  };
  check(request.path, given.path);
  if (request.anyQuery !== true) {
    if (given.rawQuery !== '') errors.push(...repeatedIn(given.rawQuery));
    check(request.query ?? noQuery, given.query);
  }
  check(request.body, given.body);
  if (errors.length > 0) throw badInput(summaryOf(errors));
  return input;
};

/** Validates path, query and body by the contract and sets `event.input`. */
export const validate: HttpMiddleware = {
  before: ({ event }) => {
    event.input = inputOf(event.contract, {
      path: event.pathParameters ?? {},
      query: event.queryStringParameters ?? {},
      rawQuery: event.rawQueryString ?? '',
      body: event.content,
    });
  },
};
