import type { ApplicationDirectory } from '#lib/chat/application-directory.ts';
import { listApplications as contract } from '#lib/contracts/applications.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { applicationDirectory } from '#lib/runtime/services.ts';

type Uses = { applicationDirectory: Pick<ApplicationDirectory, 'list'> };

export const listApplications = async (
  { input: { page, limit }, caller }: Request<typeof contract>,
  { applicationDirectory }: Uses,
) => {
  const found = await applicationDirectory.list(caller.id, { skip: (page - 1) * limit, count: limit + 1 });
  return {
    items: found.slice(0, limit),
    next: found.length > limit ? { page: page + 1 } : undefined,
  };
};

export const handler = httpHandler(contract, listApplications, {
  applicationDirectory,
});
