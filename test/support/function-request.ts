/** What the HTTP wrapper hands to a function: a validated input, and Ada as the caller. */
export const functionRequest = <Input, More extends object = Record<never, never>>(
  input: Input,
  more?: More,
) => ({
  input,
  caller: { id: 7, name: 'Ada', handle: 'adaadaadaadaada7', generation: 3 },
  credentials: { user: '', password: '' },
  idempotency: undefined,
  expected: undefined,
  clientAddress: '127.0.0.1',
  ...more,
});

/** The `Idempotency-Key` of a request, as the wrapper hands it over. */
export const idempotencyKey = { key: 'key', fingerprint: 'fingerprint' };
