import { expect, it } from 'vitest';
import { disconnect } from '../../../../functions/websocket/disconnect.ts';

it('forgets the connection', async () => {
  const forgotten: string[] = [];
  const connections = {
    forget: async (ids: readonly string[]) => {
      forgotten.push(...ids);
    },
  };
  expect(await disconnect({ connection: { id: 'one=' } }, { connections })).toEqual({ statusCode: 200 });
  expect(forgotten).toEqual(['one=']);
});
