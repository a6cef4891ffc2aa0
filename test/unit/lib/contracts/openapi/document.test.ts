import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import type * as z from 'zod';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { routes } from '#lib/contracts/index.ts';
import { openApiDocument } from '#lib/contracts/openapi/document.ts';
import { limits } from '#lib/domain/limits.ts';
import { namePattern } from '#lib/domain/text.ts';
import packageJson from '../../../../../package.json' with { type: 'json' };

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;

/** As a client reads it. */
const document: unknown = JSON.parse(JSON.stringify(openApiDocument()));

/** The value at this path of keys; undefined if a key is missing. */
const at = (value: unknown, ...keys: string[]): unknown =>
  keys.reduce<unknown>((found, key) => (isObject(found) ? found[key] : undefined), value);

const entriesOf = (value: unknown): [string, unknown][] => (isObject(value) ? Object.entries(value) : []);

/** Every object in the document, with the JSON pointer to it. */
const walk = function* (value: unknown, pointer = '#'): Generator<[string, Json]> {
  if (!isObject(value)) return;
  yield [pointer, value];
  for (const [key, inner] of Object.entries(value)) {
    yield* walk(inner, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  }
};

/** The value at a JSON pointer of this document. */
const resolve = (pointer: string): Json => {
  const keys = pointer.slice(2).split('/');
  const found = at(document, ...keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~')));
  if (!isObject(found)) throw new Error(`${pointer} leads nowhere`);
  return found;
};

const follow = (value: unknown): unknown => {
  const reference = at(value, '$ref');
  return typeof reference === 'string' ? resolve(reference) : value;
};

const operations = entriesOf(at(document, 'paths')).flatMap(([path, methods]) =>
  entriesOf(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);
const operationOf = ({ method, path }: RouteContract): unknown =>
  at(document, 'paths', path, method.toLowerCase());
const contracts = Object.entries(routes);

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);

describe('the OpenAPI document', () => {
  it('has the version of package.json', () => {
    expect(at(document, 'info', 'version')).toBe(packageJson.version);
  });

  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(openApiDocument());
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    expect(validator.version).toBe('3.1');
  });

  it('is in the repository as docs/openapi.json, which npm run openapi rewrites', () => {
    const file = readFileSync(join(import.meta.dirname, '../../../../../docs/openapi.json'), 'utf8');
    expect(JSON.parse(file)).toEqual(document);
    expect(file).toBe(`${JSON.stringify(document, null, 2)}\n`);
  });

  it('holds every route and nothing else', () => {
    const documented = operations.map(({ method, path }) => `${method} ${path}`);
    expect(documented.sort()).toEqual(contracts.map(([, { method, path }]) => `${method} ${path}`).sort());
    expect(operations.map(({ operation }) => at(operation, 'operationId')).sort()).toEqual(
      contracts.map(([name]) => name).sort(),
    );
  });

  it('has no reference that leads nowhere, and no component that nothing refers to', () => {
    const referred = new Set<string>();
    for (const [, { $ref }] of walk(document)) {
      if (typeof $ref !== 'string') continue;
      resolve($ref);
      referred.add($ref);
    }
    const declared = entriesOf(at(document, 'components'))
      .filter(([kind]) => kind !== 'securitySchemes')
      .flatMap(([kind, named]) => entriesOf(named).map(([name]) => `#/components/${kind}/${name}`));
    expect([...referred].sort()).toEqual(declared.sort());
  });

  it('shows only examples that fit their schema', () => {
    ajv.addSchema(isObject(document) ? document : {}, 'document');
    let checked = 0;
    for (const [pointer, value] of walk(document)) {
      const fits = (schemaPointer: string, example: unknown) => {
        const validate = ajv.compile({ $ref: `document${schemaPointer}` });
        expect(validate(example), `${pointer}: ${ajv.errorsText(validate.errors)}`).toBe(true);
        checked += 1;
      };
      if (Array.isArray(value.examples)) for (const example of value.examples) fits(pointer, example);
      if (value.schema !== undefined && value.example !== undefined) fits(`${pointer}/schema`, value.example);
    }
    expect(checked).toBeGreaterThan(100);
  });

  it.each(contracts)('shows for %s only the request and the response of its contract', (_name, contract) => {
    const operation = operationOf(contract);
    const { path, query, body } = contract.request;
    const shownIn = (where: string) =>
      entriesOf(at(operation, 'parameters'))
        .map(([, parameter]) => follow(parameter))
        .filter((parameter) => at(parameter, 'in') === where)
        .map((parameter) => {
          const example = at(parameter, 'schema', 'examples', '0') ?? at(parameter, 'schema', 'default');
          return [at(parameter, 'name'), example === undefined ? undefined : `${example}`];
        })
        .filter(([, example]) => example !== undefined);
    const expectToFit = (schema: z.ZodType | undefined, example: unknown) =>
      expect(schema?.safeParse(example).error).toBeUndefined();

    expectToFit(path, Object.fromEntries(shownIn('path')));
    expectToFit(query, Object.fromEntries(shownIn('query')));
    expectToFit(body, at(operation, 'requestBody', 'content', 'application/json', 'example'));
    if (contract.produces !== undefined || contract.redirectsTo !== undefined) return;
    expectToFit(
      contract.response,
      at(operation, 'responses', '200', 'content', 'application/json', 'example'),
    );
  });

  it.each(contracts)('documents the ways in which %s fails, as problem documents', (_name, contract) => {
    const operation = operationOf(contract);
    const responses = entriesOf(at(operation, 'responses'));
    const statuses = responses.map(([status]) => status);
    expect(statuses).toContain('400');
    expect(statuses.includes('401')).toBe(contract.authentication !== 'none');
    expect(statuses.includes('415')).toBe(contract.request.body !== undefined);
    expect(statuses.includes('503')).toBe(contract.errors.includes('unavailable'));
    expect(at(operation, 'security')).toEqual(
      contract.authentication === 'none' ? [] : [{ [contract.authentication]: [] }],
    );
    for (const [status, reference] of responses) {
      if (status === '200' || status === '302' || status === '304') continue;
      const response = follow(reference);
      expect(entriesOf(at(response, 'content')).map(([type]) => type)).toEqual(['application/problem+json']);
      if (status === '429' || status === '503') expect(at(response, 'headers')).toHaveProperty('Retry-After');
    }
  });

  it('shows for each operation only errors that it can give', () => {
    const shown = (status: string) =>
      contracts
        .filter(([, contract]) => at(operationOf(contract), 'responses', status) !== undefined)
        .map(([name]) => name)
        .sort();
    const names = (applies: (contract: RouteContract) => boolean) =>
      contracts.flatMap(([name, contract]) => (applies(contract) ? [name] : [])).sort();
    const changesItem = ({ method, path }: RouteContract) =>
      ['PUT', 'DELETE'].includes(method) && path.startsWith('/applications');
    expect(shown('405')).toEqual([]);
    // A read marker is its reader's own.
    const isEdit = (contract: RouteContract) => changesItem(contract) && !contract.path.endsWith('/read');
    expect(shown('403')).toEqual(names(isEdit));
    const hasParent = ({ method, path }: RouteContract) =>
      /\{token\}|^\/search$/.test(path) || `${method} ${path}` === 'PUT /applications';
    expect(shown('404')).toEqual(names(hasParent));
    expect(shown('409')).toEqual([
      'createChat',
      'createMessage',
      'signUp',
      'updateMessage',
      'updateMessageByBody',
    ]);
    expect(shown('413')).toEqual(names(({ request }) => request.body !== undefined));
    expect(shown('415')).toEqual(shown('413'));
    expect(shown('422')).toEqual(names(({ creates }) => creates === true));
    expect(shown('429')).toEqual(
      names(({ authentication, method }) => authentication !== 'none' || method === 'POST'),
    );
    expect(shown('304')).toEqual(names(({ method, path }) => method === 'GET' && path !== '/'));
  });

  describe('states the bounds', () => {
    const parametersOf = (contract: RouteContract): Record<string, unknown> =>
      Object.fromEntries(
        entriesOf(at(operationOf(contract), 'parameters'))
          .map(([, parameter]) => follow(parameter))
          .map((parameter) => [String(at(parameter, 'name')), parameter]),
      );
    const fieldOf = (contract: RouteContract, field: string): unknown =>
      at(
        operationOf(contract),
        ...['requestBody', 'content', 'application/json', 'schema', 'properties', field],
      );
    const routeOf = (name: string): RouteContract => {
      const found = routes[name];
      if (found === undefined) throw new Error(`No route ${name}`);
      return found;
    };

    it.each([
      ['listApplications', limits.skippedRows + 1],
      ['listChats', 999_999_999_999_999],
      ['listMessages', limits.skippedRows + 1],
      ['searchMessages', limits.searchDepth],
      ['searchByQuery', limits.searchDepth],
    ])('of the page of %s, which the contract has as well', (name, maximum) => {
      const parameters = parametersOf(routeOf(name));
      const { page, limit } = parameters;
      expect(at(page, 'schema')).toMatchObject({ type: 'integer', minimum: 1, maximum });
      expect(at(limit, 'schema')).toMatchObject({ type: 'integer', minimum: 1, maximum: limits.pageSize });
      const samples = { q: 'x', application_token: 't', chat_number: '1', body: 'x' };
      const required = Object.fromEntries(Object.entries(samples).filter(([field]) => field in parameters));
      const accepts = (value: number) =>
        routeOf(name).request.query?.safeParse({ ...required, limit: '1', page: `${value}` }).success;
      expect([accepts(maximum), accepts(maximum + 1)]).toEqual([true, false]);
    });

    it.each([
      ['listMessages', 'before'],
      ['searchMessages', 'after'],
      ['searchByQuery', 'after'],
    ])('of the cursor of %s, which excludes page', (name, cursor) => {
      const parameters = parametersOf(routeOf(name));
      expect(at(parameters[cursor], 'schema')).toMatchObject({ minLength: 1, maxLength: 200 });
      expect(at(parameters[cursor], 'description')).toContain('Not together with `page`');
      expect(at(parameters.page, 'description')).toContain(`Not together with \`${cursor}\``);
    });

    it('of createdAt', () => {
      const field = JSON.stringify(fieldOf(routeOf('createMessage'), 'createdAt'));
      expect(field).toContain('from 1970-01-01T00:00:00Z to 24 hours from now');
    });

    it.each(['signUp', 'createApplication', 'updateApplication', 'updateApplicationByBody'])(
      'of the name in %s',
      (name) => {
        expect(fieldOf(routeOf(name), 'name')).toMatchObject({
          minLength: 1,
          maxLength: limits.name,
          pattern: namePattern,
        });
      },
    );

    it.each(['createChat', 'updateChat'])('of the title of a chat in %s', (name) => {
      expect(at(fieldOf(routeOf(name), 'title'), 'anyOf', '0')).toMatchObject({
        minLength: 1,
        maxLength: limits.title,
        pattern: namePattern,
      });
    });
  });

  it('says which body may be left out', () => {
    const optional = contracts
      .filter(([, contract]) => at(operationOf(contract), 'requestBody', 'required') === false)
      .map(([name]) => name);
    expect(optional).toEqual(['createChat']);
  });
});
