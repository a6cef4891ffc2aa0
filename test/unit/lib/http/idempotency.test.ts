import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { createKeyedHash } from '#lib/auth/keyed-hash.ts';
import { idempotency } from '#lib/http/idempotency.ts';
import { before, contractOf, httpEvent } from '../../../support/http-event.ts';

const creates = contractOf({ method: 'POST', path: '/things/{n}', creates: true });
const oldKey = Buffer.alloc(32, 1);
const newKey = Buffer.alloc(32, 2);
const ask = async (
  key: string | undefined,
  input = {},
  contract = creates,
  keys: [Buffer, ...Buffer[]] = [oldKey],
) =>
  (
    await before(
      idempotency(() => createKeyedHash(keys)),
      httpEvent(contract, { headers: key === undefined ? {} : { 'idempotency-key': key }, input }),
    )
  ).idempotency;

it('is read on routes that create, and only there', async () => {
  expect((await ask('key'))?.key).toBe('key');
  expect(await ask(undefined)).toBeUndefined();
  expect(await ask('key', {}, contractOf({ method: 'PUT' }))).toBeUndefined();
});

it.each(['', 'two words', 'tab\t', 'é', '👋', 'x'.repeat(201)])('refuses %j', async (key) => {
  await expect(ask(key)).rejects.toMatchObject({ code: 'bad-input', fields: [{ path: 'Idempotency-Key' }] });
});

it('has the same fingerprint for the same request, another for any other', async () => {
  const other = contractOf({ method: 'POST', path: '/others/{n}', creates: true });
  const fingerprints = await Promise.all([
    ask('key', { n: '1', body: 'a' }),
    ask('another', { n: '1', body: 'a' }),
    ask('key', { n: '1', body: 'b' }),
    ask('key', { n: '2', body: 'a' }),
    ask('key', { n: '1' }),
    ask('key', { n: '1', body: 'a' }, other),
  ]);
  const [first, ...rest] = fingerprints.map((found) => found?.fingerprint);
  expect(rest[0]).toBe(first);
  expect(new Set([first, ...rest.slice(1)]).size).toBe(rest.length);
});

it('has a fingerprint from which the request cannot be guessed', async () => {
  const input = { n: '1', body: 'a password, perhaps' };
  const plain = createHash('sha256')
    .update(JSON.stringify([creates.method, creates.path, input]))
    .digest('base64url');
  const found = (await ask('key', input))?.fingerprint;
  expect(found).toMatch(/^[\w-]{43}$/);
  expect(found).not.toBe(plain);
  expect((await ask('key', input, creates, [newKey]))?.fingerprint).not.toBe(found);
});

it('has a fingerprint under each secret during a rotation, the current one first', async () => {
  const [before, during, after] = await Promise.all(
    [[oldKey], [newKey, oldKey], [newKey]].map(
      async ([first = oldKey, ...rest]) => (await ask('key', {}, creates, [first, ...rest]))?.fingerprint,
    ),
  );
  expect(during).toBe(`${after},${before}`);
});
