import { randomUUID } from 'node:crypto';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
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

/** In the dialog behind Authorize, the part of one security scheme. */
const scheme = (name: string): Locator =>
  page
    .locator('.dialog-ux .auth-container')
    .filter({ has: page.locator('h4 code', { hasText: new RegExp(`^${name}$`) }) });
const openAuthorize = () => page.locator('.auth-wrapper .btn.authorize').first().click();
const closeAuthorize = () => page.locator('.dialog-ux .btn-done').first().click();

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
