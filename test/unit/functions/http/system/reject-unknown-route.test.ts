import { expect, it } from 'vitest';
import { rejectUnknownRoute } from '../../../../../functions/http/system/reject-unknown-route.ts';

const methodsOf = (path: string) => (path === '/applications' ? ['GET', 'POST'] : []);
const reject = (path: string) => () => rejectUnknownRoute({ input: { path } }, { methodsOf });

it('answers not-found for a path that no route has', () => {
  expect(reject('/nowhere')).toThrow(expect.objectContaining({ code: 'not-found' }));
});

it('answers not-allowed with the methods of a path that routes have', () => {
  expect(reject('/applications')).toThrow(
    expect.objectContaining({ code: 'not-allowed', methods: ['GET', 'POST'] }),
  );
});
