import type { Acceptance } from '#lib/chat/acceptance.ts';
import { updateApplication as contract, updateApplicationByBody } from '#lib/contracts/applications.ts';
import { notFound } from '#lib/domain/errors.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import { acceptance, applications, now } from '#lib/runtime/services.ts';

type Uses = { acceptance: Acceptance; applications: Pick<Applications, 'find'>; now: () => number };

/** MySQL is asked only for an application of long ago, whose creator Redis has forgotten. */
export const updateApplication = async (
  { input: { token, name }, caller }: Request<typeof contract>,
  { acceptance, applications, now }: Uses,
) => {
  const command = { token, name, date: new Date(now()).toISOString() };
  if (await acceptance.applicationUpdate(command, caller.id)) return {};
  const stored = await applications.find(token);
  if (stored === undefined) throw notFound('application');
  await acceptance.applicationUpdate(command, caller.id, stored.creatorId);
  return {};
};

export const handler = httpHandler([contract, updateApplicationByBody], updateApplication, {
  acceptance,
  applications,
  now,
});
