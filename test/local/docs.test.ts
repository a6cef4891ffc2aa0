import { randomUUID } from 'node:crypto';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import * as z from 'zod';
import { openChromium } from '../support/chromium.ts';
import { Client } from '../support/client.ts';

const apiUrl = inject('apiUrl');

/** A browser and scrypt on a machine that is busy with servers. */
const timeout = 180_000;

let browser: Awaited<ReturnType<typeof openChromium>>;
let page: Page;
/** What the page should never do: complain, fail, or ask another server. */
const complaints: string[] = [];
const asked: string[] = [];

beforeAll(async () => {
  browser = await openChromium();
  page = await browser.context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => complaints.push(`dialog: ${dialog.message()}`));
  browser.context.on('request', (request) => asked.push(new URL(request.url()).origin));
  await page.goto(`${apiUrl}/docs`);
});

afterAll(() => browser?.close());

/** An operation of the page, opened. */
const open = async (operationId: string): Promise<Locator> => {
  const operation = page.locator(`.opblock[id$="-${operationId}"]`);
  await operation.locator('.opblock-summary-control').click();
  await operation.locator('.opblock-body .execute').waitFor();
  return operation;
};

/** Presses Execute. @returns status and body, as the page shows them */
const execute = async (operation: Locator): Promise<{ status: string; body: string }> => {
  await operation.locator('.execute').click();
  const live = operation.locator('.live-responses-table');
  const status = await live.locator('tbody .response-col_status').first().textContent();
  const body = await live.locator('tbody .highlight-code code').first().textContent();
  return { status: status?.trim() ?? '', body: body ?? '' };
};

/** Calls an operation of the page by its own controls. */
const call = async (
  operationId: string,
  parameters: Record<string, string> = {},
  body?: object,
): Promise<{ status: string; body: unknown }> => {
  const operation = await open(operationId);
  for (const [name, value] of Object.entries(parameters))
    await operation.locator(`tr[data-param-name="${name}"] input`).fill(value);
  if (body !== undefined) await operation.locator('textarea.body-param__text').fill(JSON.stringify(body));
  const answer = await execute(operation);
  // Closed again, so that the next call does not find the answer of this one.
  await operation.locator('.btn-clear').click();
  await operation.locator('.opblock-summary-control').click();
  return { status: answer.status.slice(0, 3), body: JSON.parse(answer.body) };
};

/** In the dialog behind Authorize, the part of one security scheme. */
const scheme = (name: string): Locator =>
  page
    .locator('.dialog-ux .auth-container')
    .filter({ has: page.locator('h4 code', { hasText: new RegExp(`^${name}$`) }) });
const openAuthorize = () => page.locator('.auth-wrapper .btn.authorize').first().click();
const closeAuthorize = () => page.locator('.dialog-ux .btn-done').first().click();

/** Gives the page an address and a password, and calls the sign-in, whose access token the page takes over. */
const signIn = async (email: string, password: string): Promise<void> => {
  await openAuthorize();
  const remove = scheme('basic').getByRole('button', { name: 'Remove authorization' });
  if ((await remove.count()) > 0) await remove.click();
  await scheme('basic').locator('input[name="username"]').fill(email);
  await scheme('basic').locator('input[name="password"]').fill(password);
  await scheme('basic').getByRole('button', { name: 'Apply credentials' }).click();
  await closeAuthorize();
  expect((await call('createToken')).status).toBe('200');
};

it('shows every operation, signs in and creates an application by its own controls', {
  timeout,
}, async () => {
  const account = { name: 'Ada', email: `${randomUUID()}@example.org`, password: 'a password of Ada' };
  await page.locator('.opblock').first().waitFor();
  const { paths } = (await new Client(apiUrl).get<{ paths: Record<string, object> }>('/openapi.json')).body;
  expect(await page.locator('.opblock').count()).toBe(Object.values(paths).flatMap(Object.keys).length);

  const signUp = await open('signUp');
  await signUp.locator('textarea.body-param__text').fill(JSON.stringify(account));
  expect(await execute(signUp)).toMatchObject({ status: '200' });

  await openAuthorize();
  await scheme('basic').locator('input[name="username"]').fill(account.email);
  await scheme('basic').locator('input[name="password"]').fill(account.password);
  await scheme('basic').getByRole('button', { name: 'Apply credentials' }).click();
  await closeAuthorize();
  const createToken = await open('createToken');
  const signedIn = await execute(createToken);
  expect(signedIn.status).toBe('200');
  const { accessToken }: { accessToken: string } = JSON.parse(signedIn.body);

  // The page has taken over the token by itself; here the reader gives it by hand.
  await openAuthorize();
  await scheme('bearer').getByRole('button', { name: 'Remove authorization' }).click();
  await scheme('bearer').locator('input').fill(accessToken);
  await scheme('bearer').getByRole('button', { name: 'Apply credentials' }).click();
  await closeAuthorize();
  const createApplication = await open('createApplication');
  await createApplication.locator('textarea.body-param__text').fill('{"name": "From the page"}');
  const created = await execute(createApplication);
  expect(created.status).toBe('200');
  const { token }: { token: string } = JSON.parse(created.body);

  const reply = await new Client(apiUrl, accessToken).get(`/applications/${token}`);
  expect(reply.body).toEqual({ token, name: 'From the page', chatsCount: 0 });
  expect(complaints).toEqual([]);
  expect(new Set(asked)).toEqual(new Set([apiUrl]));
});

it('takes a message back, finds the rest by person and date, changes the password and erases the account', {
  timeout,
}, async () => {
  // A reload opens the operation that the address names.
  await page.goto('about:blank');
  await page.goto(`${apiUrl}/docs`);
  const account = { name: 'Nora', email: `${randomUUID()}@example.org`, password: 'tulips in the rain' };
  const { body: user } = await call('signUp', {}, account);
  const { handle } = z.object({ handle: z.string() }).parse(user);
  await signIn(account.email, account.password);
  const { body: application } = await call('createApplication', {}, { name: 'Garden' });
  const { token } = z.object({ token: z.string() }).parse(application);
  expect(await call('createChat', { token })).toEqual({ status: '200', body: { chatNumber: 1 } });
  const chat = { token, chatNumber: '1' };
  await call('createMessage', chat, { body: 'The tulips arrive on Monday' });
  await call('createMessage', chat, { body: 'A secret about tulips' });

  expect((await call('deleteMessage', { ...chat, messageNumber: '2' })).status).toBe('200');
  expect((await call('getMessage', { ...chat, messageNumber: '2' })).body).toMatchObject({
    body: '',
    deletedAt: expect.any(String),
  });
  const time = { from: '2026-01-01T00:00:00+01:00', to: new Date(Date.now() + 60_000).toISOString() };
  const found = async () => (await call('searchApplication', { token, sender: handle, ...time })).body;
  await expect.poll(found, { timeout: 20_000 }).toMatchObject([{ chatNumber: 1, messageNumber: 1 }]);

  expect((await call('changePassword', {}, { password: 'tulips in the sun' })).status).toBe('200');
  expect((await call('getUser')).status).toBe('401');
  await signIn(account.email, 'tulips in the sun');
  expect((await call('getUser')).body).toMatchObject({ handle });
  expect((await call('deleteApplication', { token })).status).toBe('200');
  expect((await call('eraseUser')).status).toBe('200');
  expect((await call('getUser')).status).toBe('401');
});

it('shows that a sign-in was refused, and leaves the asking to its own controls', { timeout }, async () => {
  await page.reload();
  await openAuthorize();
  await scheme('basic').locator('input[name="username"]').fill(`${randomUUID()}@example.org`);
  await scheme('basic').locator('input[name="password"]').fill('not a password of Ada');
  await scheme('basic').getByRole('button', { name: 'Apply credentials' }).click();
  await closeAuthorize();
  const refused = await execute(await open('createToken'));
  expect(refused.status).toContain('401');
  expect(JSON.parse(refused.body)).toMatchObject({ status: 401, title: 'Unauthorized' });
});

it('fits into one answer of a gateway, may call only its own server, and is sent once', async () => {
  const get = (headers: Record<string, string>) => browser.context.request.get(`${apiUrl}/docs`, { headers });

  const plain = await get({ 'accept-encoding': 'identity' });
  const { 'content-security-policy': policy = '', ...headers } = plain.headers();
  expect(plain.status()).toBe(200);
  expect(headers).not.toHaveProperty('content-encoding');
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect((await plain.body()).length).toBeLessThan(5_000_000);
  expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-/);
  expect(policy).not.toMatch(/unsafe|https?:|\*/);

  const compressed = await get({ 'accept-encoding': 'gzip' });
  expect(compressed.headers()['content-encoding']).toBe('gzip');
  expect(await compressed.text()).toBe(await plain.text());

  const again = await get({ 'if-none-match': compressed.headers().etag ?? '' });
  expect(again.status()).toBe(304);
});
