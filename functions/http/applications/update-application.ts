import { updateApplication as contract, updateApplicationByBody } from '#lib/contracts/http/applications.ts';
import { notFound } from '#lib/domain/errors.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import { applications } from '#lib/runtime/services/mysql.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

type Uses = { submit: Pick<Submit, 'applicationUpdate'>; applications: Pick<Applications, 'find'> };

/**
 * Redis knows the creators of recent applications. For older ones the handler reads the creator from MySQL.
 */
export const updateApplication = async (
  { input: { token, name }, caller }: Request<typeof contract>,
  { submit, applications }: Uses,
) => {
  const update = { token, name, callerId: caller.id };
  if (await submit.applicationUpdate(update)) return {};
  const stored = await applications.find(token);
  if (stored === undefined) throw notFound('application');
  await submit.applicationUpdate({ ...update, creatorId: stored.creatorId });
  return {};
};

export const handler = httpHandler([contract, updateApplicationByBody], updateApplication, {
  submit,
  applications,
});
