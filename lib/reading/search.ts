import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { MessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { MessageHit, MessageSearch, SearchPosition } from '#lib/opensearch/search/message-search.ts';

import type { WithoutDeleted } from './deletions.ts';

/** A message that matches, with all that answers show. */
export type FoundMessage = MessageHit & { senderName: string };

const toFound = ({ senderName, ...hit }: MessageHit): FoundMessage[] =>
  senderName === undefined ? [] : [{ ...hit, senderName }];

/**
 * Searches the index, and completes documents from before it kept senders. A `reindex` leaves none of them. A function of
 * the release before may write some during a deploy, until a `reconcile`.
 */
export const createSearch = ({
  messageIndex,
  messages,
  withoutDeleted,
}: {
  messageIndex: Pick<MessageIndex, 'search'>;
  messages: Pick<Messages, 'find'>;
  withoutDeleted: WithoutDeleted;
}) => {
  /** All of a page share one query. A message that MySQL does not have is left out. */
  const withSenders = async (token: string, hits: readonly MessageHit[]): Promise<FoundMessage[]> => {
    const without = hits.filter(({ sender }) => sender === undefined);
    if (without.length === 0) return hits.flatMap(toFound);
    const asked = messages.find(without.map((hit) => ({ token, ...hit })));
    // A message is shown without its sender while MySQL does not answer, but never without the name.
    const rows = await (without.every(({ senderName }) => senderName !== undefined)
      ? ifAvailable(asked)
      : asked);
    const byReference = new Map(rows?.map((row) => [messageReference(row), row]));
    return hits.flatMap((hit) => {
      const { sender, senderName } = byReference.get(messageReference({ token, ...hit })) ?? {};
      return toFound({
        ...hit,
        sender: hit.sender ?? sender ?? undefined,
        senderName: hit.senderName ?? senderName,
      });
    });
  };

  return {
    /**
     * @returns a page in the order of the search without deleted messages, and the place of its last hit in the index, from which the search goes on
     * @throws unavailable
     */
    find: async (
      wanted: MessageSearch,
    ): Promise<{ hits: FoundMessage[]; last: SearchPosition | undefined; hasMore: boolean }> => {
      const { hits, hasMore } = await messageIndex.search(wanted);
      // After the search: while the index lags, its hits contain earlier deletions.
      const shown = await withoutDeleted(wanted.token, hits);
      return { hits: await withSenders(wanted.token, shown), last: hits.at(-1)?.position, hasMore };
    },
  };
};

export type Search = ReturnType<typeof createSearch>;
