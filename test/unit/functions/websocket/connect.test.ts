import { describe, expect, it } from 'vitest';
import { connect } from '../../../../functions/websocket/connect.ts';

const origins = new Set(['https://chat.example.org']);
const connectFrom = async (origin: string | undefined, corsOrigins: ReadonlySet<string>) => {
  const checked: string[] = [];
  const signals = {
    checkLater: async (id: string) => {
      checked.push(id);
    },
  };
  const { statusCode } = await connect({ connection: { id: 'one=' }, origin }, { signals, corsOrigins });
  return { statusCode, checked };
};

describe('a connection', () => {
  it('is taken, and checked later', async () => {
    expect(await connectFrom(undefined, origins)).toEqual({ statusCode: 200, checked: ['one='] });
    expect(await connectFrom('https://chat.example.org', origins)).toEqual({
      statusCode: 200,
      checked: ['one='],
    });
  });

  it('of a page that is not listed is refused', async () => {
    expect(await connectFrom('https://evil.example.org', origins)).toEqual({ statusCode: 403, checked: [] });
  });

  it('of any page is taken without a list', async () => {
    expect((await connectFrom('https://any.example.org', new Set())).statusCode).toBe(200);
  });
});
