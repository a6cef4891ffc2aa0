import { expect, it } from 'vitest';
import { routes } from '#lib/contracts/index.ts';
import { getOpenapi } from '../../../../../functions/http/system/get-openapi.ts';

it('answers an OpenAPI 3.1 document that lists every route of the contracts', () => {
  const document = getOpenapi();
  expect(document).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./) });
  const paths = new Set(Object.values(routes).map(({ path }) => path));
  expect(document).toHaveProperty('paths');
  expect(Object.keys(Object(document).paths).sort()).toEqual([...paths].sort());
});
