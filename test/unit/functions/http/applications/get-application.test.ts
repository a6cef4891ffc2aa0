import { expect, it } from 'vitest';
import { notFound } from '#lib/domain/errors.ts';
import { getApplication } from '../../../../../functions/http/applications/get-application.ts';
import { functionRequest } from '../../../../support/function-request.ts';

const application = { token: 'token', name: 'Support', chatsCount: 3, version: 17 };
/** A directory that knows one application. */
const applicationDirectory = {
  get: async (token: string) => {
    if (token !== application.token) throw notFound('application');
    return application;
  },
};
const get = (token: string) => getApplication(functionRequest({ token }), { applicationDirectory });

it('answers the application with this token, and the version of its name, to anyone who knows the token', async () => {
  expect(await get('token')).toEqual(application);
});

it('answers not-found for any other token', async () => {
  await expect(get('other')).rejects.toMatchObject({ code: 'not-found' });
});
