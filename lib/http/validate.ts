import * as z from 'zod';
import { fieldErrorsOf, pathOf, summaryOf } from '#lib/contracts/field-errors.ts';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { badInput, type FieldError } from '#lib/domain/errors.ts';
import type { HttpMiddleware } from './middleware.ts';

const noQuery = z.strictObject({});

const isWellEncoded = (text: string): boolean => {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
};

/**
 * Errors that the decoded parameters hide. API Gateway joins the values of a repeated parameter with commas, and
 * decoders replace bytes that are not UTF-8.
 */
const errorsOfQuery = (query: string): FieldError[] => {
  const known = new Set<string>();
  return query.split('&').flatMap((pair): FieldError[] => {
    const [name] = new URLSearchParams(`&${pair}`).keys();
    if (name === undefined) return [];
    const path = pathOf([name]);
    if (known.has(name)) return [{ path, message: 'Must be given once' }];
    known.add(name);
    return isWellEncoded(pair) ? [] : [{ path, message: 'Must be percent-encoded UTF-8' }];
  });
};

type Given = { path: unknown; query: unknown; rawQuery: string; body: unknown; user: string };

/**
 * @returns the fields of path, query and body in one object, as the contract's schemas give them
 * @throws badInput that names every invalid field
 */
const inputOf = ({ request, faultsOf }: RouteContract, given: Given): Record<string, unknown> => {
  const input: Record<string, unknown> = {};
  const errors: FieldError[] = [];
  const check = (schema: z.ZodType | undefined, value: unknown) => {
    if (schema === undefined) return;
    const result = schema.safeParse(value);
    if (result.success) Object.assign(input, result.data);
    else errors.push(...fieldErrorsOf(result.error));
  };
  check(request.path, given.path);
  if (request.anyQuery !== true) {
    if (given.rawQuery !== '') errors.push(...errorsOfQuery(given.rawQuery));
    check(request.query ?? noQuery, given.query);
  }
  check(request.body, given.body);
  if (errors.length === 0) errors.push(...(faultsOf?.(input, given.user) ?? []));
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
      user: event.credentials?.user ?? '',
    });
  },
};
