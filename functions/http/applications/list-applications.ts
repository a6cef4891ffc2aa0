import { listApplications as contract } from '#lib/contracts/http/applications.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { ApplicationDirectory } from '#lib/reading/applications.ts';
import { applicationDirectory } from '#lib/runtime/services/reading.ts';

type Uses = { applicationDirectory: Pick<ApplicationDirectory, 'list'> };

export const listApplications = async (
  { input: { page, limit }, caller }: Request<typeof contract>,
  { applicationDirectory }: Uses,
) => {
  const { items, hasMore } = await applicationDirectory.list(caller.id, {
    skip: (page - 1) * limit,
    count: limit,
  });
  return { items, next: hasMore ? { page: page + 1 } : undefined };
};

export const handler = httpHandler(contract, listApplications, {
  applicationDirectory,
});
