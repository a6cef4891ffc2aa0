import { expect, it } from 'vitest';
import { idempotency } from '#lib/http/idempotency.ts';
import { before, contractOf, httpEvent } from '../../../support/http-event.ts';

const creates = contractOf({ method: 'POST', path: '/things/{n}', creates: true });
const ask = async (key: string | undefined, input = {}, contract = creates) =>
  (
    await before(
      idempotency,
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
