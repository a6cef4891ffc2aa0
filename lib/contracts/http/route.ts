import type * as z from 'zod';
import type { ErrorCode, FieldError } from '#lib/domain/errors.ts';

/** Who may call: anyone, anyone with a password, or the holder of an access token. */
type Authentication = 'none' | 'basic' | 'bearer';

/**
 * The request and response of a route: the source of its validation, its response filter and its
 * documentation.
 */
export type RouteContract<
  Path extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Response extends z.ZodType = z.ZodType,
> = {
  /** Key of the function in serverless.yml. Two routes may lead to one function. */
  function: string;
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** The function also answers HEAD: the headers of GET without the body. */
  alsoHead?: true;
  path: string;
  tag: 'Users' | 'Applications' | 'Chats' | 'Messages' | 'Changes' | 'System';
  summary: string;
  /** More about the route for its callers, in Markdown. */
  description?: string;
  authentication: Authentication;
  request: {
    path?: Path;
    query?: Query;
    /** The query is ignored and may contain anything. */
    anyQuery?: true;
    body?: Body;
    bodyOptional?: true;
  };
  /**
   * Faults of a body that its schema accepts, with the user's name in the Basic credentials. They are 400, before the request
   * counts as a sign-in.
   */
  faultsOf?(body: z.output<Body>, user: string): readonly FieldError[];
  /** The successful answer. Clients never get fields that are not declared here. */
  response: Response;
  /** The write is accepted by a script that checks the access token. Other writes wait for a check of their own. */
  submits?: true;
  /** The response is a list; a `Link` header leads to its next page. */
  list?: true;
  /** The route accepts an `Idempotency-Key`. */
  creates?: true;
  /** The path that a 302 leads to, instead of an answer. */
  redirectsTo?: string;
  /** Content type of the answer where it is not JSON. */
  produces?: string;
  responseHeaders?: Record<string, string>;
  errors: readonly ErrorCode[];
};

export const route = <
  Path extends z.ZodType = z.ZodNever,
  Query extends z.ZodType = z.ZodNever,
  Body extends z.ZodType = z.ZodNever,
  Response extends z.ZodType = z.ZodType,
>(
  contract: RouteContract<Path, Query, Body, Response>,
) => contract;

type Given<Schema> = [Schema] extends [z.ZodNever]
  ? unknown
  : Schema extends z.ZodType
    ? z.output<Schema>
    : unknown;

/** The validated fields of path, query and body in one object, as a handler gets them. */
export type Input<Contract> =
  Contract extends RouteContract<infer Path, infer Query, infer Body, infer _Response>
    ? Given<Path> & Given<Query> & Given<Body>
    : never;

export type Output<Contract> =
  Contract extends RouteContract<infer _Path, infer _Query, infer _Body, infer Response>
    ? z.input<Response>
    : never;

/** Of answers that show items. */
export const upToHeader = {
  'Changes-Up-To': 'The answer has every change up to this `changeNumber`. Absent while it may lag',
};
