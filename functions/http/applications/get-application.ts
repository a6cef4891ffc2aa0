import type { ApplicationDirectory } from '#lib/chat/application-directory.ts';
import { getApplication as contract } from '#lib/contracts/applications.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { applicationDirectory } from '#lib/runtime/services.ts';

type Uses = { applicationDirectory: Pick<ApplicationDirectory, 'get'> };

export const getApplication = ({ input }: Request<typeof contract>, { applicationDirectory }: Uses) =>
  applicationDirectory.get(input.token);

export const handler = httpHandler(contract, getApplication, {
  applicationDirectory,
});
