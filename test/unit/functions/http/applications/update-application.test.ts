import { expect, it, vi } from 'vitest';
import { forbidden } from '#lib/domain/errors.ts';
import type { Submit } from '#lib/writing/submit.ts';
import { updateApplication } from '../../../../../functions/http/applications/update-application.ts';
import { functionRequest } from '../../../../support/function-request.ts';

type Update = Parameters<Submit['applicationUpdate']>[0];

const stored = { token: 'token', name: 'Old', chatsCount: 0, creatorId: 7 };
/** Redis knows the creator or not; MySQL has the application or not. */
const createUses = ({ isKnown, row }: { isKnown: boolean; row?: typeof stored | undefined }) => {
  const submitted: Update[] = [];
  return {
    submitted,
    uses: {
      submit: {
        applicationUpdate: async (update: Update) => {
          submitted.push(update);
          return isKnown || update.creatorId !== undefined;
        },
      },
      applications: { find: vi.fn(async () => row) },
    },
  };
};
const request = functionRequest({ token: 'token', name: 'New' });
const update = { token: 'token', name: 'New', callerId: 7 };

it('submits the new name without a query to MySQL while Redis knows the creator', async () => {
  const { uses, submitted } = createUses({ isKnown: true, row: stored });
  expect(await updateApplication(request, uses)).toEqual({});
  expect(submitted).toEqual([update]);
  expect(uses.applications.find).not.toHaveBeenCalled();
});

it('submits again with the creator of the stored row once Redis has forgotten the creator', async () => {
  const { uses, submitted } = createUses({ isKnown: false, row: stored });
  expect(await updateApplication(request, uses)).toEqual({});
  expect(submitted).toEqual([update, { ...update, creatorId: stored.creatorId }]);
});

it('answers not-found for an application that neither Redis nor MySQL knows', async () => {
  const { uses, submitted } = createUses({ isKnown: false });
  await expect(updateApplication(request, uses)).rejects.toMatchObject({ code: 'not-found' });
  expect(submitted).toEqual([update]);
});

it('leaves the refusal of another caller as it is', async () => {
  const { uses } = createUses({ isKnown: true, row: stored });
  const refusal = forbidden('Only its creator may change it.');
  const submit = { applicationUpdate: () => Promise.reject(refusal) };
  await expect(updateApplication(request, { ...uses, submit })).rejects.toBe(refusal);
  expect(uses.applications.find).not.toHaveBeenCalled();
});
