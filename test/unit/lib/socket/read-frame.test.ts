import { describe, expect, it } from 'vitest';
import { readFrame } from '#lib/socket/read-frame.ts';

const read = (body: unknown) => readFrame({ body });
const refusalOf = (body: unknown) => {
  const result = read(body);
  if (!('refusal' in result)) return undefined;
  const { refusal, replyTo } = result;
  return { code: refusal.code, paths: refusal.fields?.map(({ path }) => path), replyTo };
};

describe('a frame', () => {
  it('is read by its contract', () => {
    expect(read('{"type":"ping","id":"7"}')).toEqual({ frame: { type: 'ping', id: '7' }, replyTo: '7' });
    expect(read('{"type":"unsubscribe","token":"app","chatNumber":null,"id":null}')).toEqual({
      frame: { type: 'unsubscribe', token: 'app', chatNumber: undefined, id: undefined },
      replyTo: undefined,
    });
  });

  it.each([
    ['bytes', Buffer.from('{"type":"ping"}'), ['frame']],
    ['nothing', undefined, ['frame']],
    ['no JSON', '{', ['frame']],
    ['null', 'null', ['frame']],
    ['a list', '[]', ['frame']],
    ['no type', '{}', ['type']],
    ['an unknown type', '{"type":"shout"}', ['type']],
    ['an unknown field', '{"type":"ping","volume":11}', ['volume']],
    ['bad fields', '{"type":"unsubscribe","token":"","chatNumber":0}', ['token', 'chatNumber']],
    ['an empty id', '{"type":"ping","id":""}', ['id']],
  ])('with %s is refused', (_what, body, paths) => {
    expect(refusalOf(body)).toEqual({ code: 'bad-input', paths, replyTo: undefined });
  });

  it('is answered by its id also when it is refused', () => {
    expect(refusalOf('{"type":"shout","id":"7"}')?.replyTo).toBe('7');
  });

  it('counts its bytes, and is not parsed beyond 4 KB', () => {
    const frame = (bytes: number) => {
      const rest = bytes - '{"type":"authenticate","accessToken":""}'.length;
      return `{"type":"authenticate","accessToken":"${'é'.repeat(rest / 2)}"}`;
    };
    expect(refusalOf(frame(4_096))).toBeUndefined();
    expect(refusalOf(frame(4_098))?.code).toBe('too-large');
  });
});
