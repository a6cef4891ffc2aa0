import { listChatChanges as contract } from '#lib/contracts/http/changes.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { ReadChangeContent } from '#lib/reading/change-content.ts';
import type { ReadFeed } from '#lib/reading/changes.ts';
import { readChangeContent, readFeed } from '#lib/runtime/services/reading.ts';

type Uses = { readFeed: ReadFeed; readChangeContent: ReadChangeContent };

/** The content is read after the numbers, so it is at least as new. */
export const listChatChanges = async (
  { input: { token, chatNumber, since, limit } }: Request<typeof contract>,
  { readFeed, readChangeContent }: Uses,
) => {
  const page = await readFeed({ token, chatNumber, since, limit });
  return { ...page, items: await readChangeContent(page.items) };
};

export const handler = httpHandler<typeof contract, Uses>(contract, listChatChanges, {
  readFeed,
  readChangeContent,
});
