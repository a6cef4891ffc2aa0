import { getApplication as contract } from '#lib/contracts/http/applications.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { ApplicationDirectory } from '#lib/reading/applications.ts';
import { applicationDirectory } from '#lib/runtime/services/reading.ts';

type Uses = { applicationDirectory: Pick<ApplicationDirectory, 'get'> };

export const getApplication = ({ input }: Request<typeof contract>, { applicationDirectory }: Uses) =>
  applicationDirectory.get(input.token);

export const handler = httpHandler(contract, getApplication, {
  applicationDirectory,
});
