import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@opensearch-project/opensearch';
import { type MessageReference, messageReference } from '#lib/domain/reference.ts';
import { IndexRetryLater, indexClosed, SearchUnavailable, typeOf } from '../errors.ts';
import { request } from '../request.ts';
import { type IndexedMessage, toDocument } from './document.ts';

export type BulkResult<Message> = { refused: { message: Message; reason: string }[] };

/**
 * The most bytes of one bulk request, which are some thousand usual messages. A core analyses a megabyte of text in one
 * or two seconds, and on a busy machine in several. The answer must arrive well within the time-out.
 */
const maxBulkBytes = 1024 * 1024;

/** Tries of temporarily refused messages within the time-out. After them the caller must repeat the call. */
const attempts = 4;
const firstPauseMs = 100;

type Item = { status: number; error?: { type: string; reason: string } };
type BulkAnswer = { items: { index?: Item; delete?: Item }[] };

type Operation<Source> = { source: Source; lines: (target: string) => string };
type Outcome = { kind: 'done' } | { kind: 'refused'; reason: string } | { kind: 'later'; reason: string };

export type BulkWriter = {
  write<Message extends IndexedMessage>(messages: readonly Message[]): Promise<BulkResult<Message>>;
  remove(refs: readonly MessageReference[]): Promise<void>;
  /** Writes into the index under construction only. */
  fill<Message extends IndexedMessage>(messages: readonly Message[]): Promise<BulkResult<Message>>;
};

/** Turns messages into bulk requests to `alias`, and during a rebuild also to `buildingAlias`. */
export const createBulkWriter = (options: {
  client: Client;
  alias: string;
  buildingAlias: string;
  timeoutMs: number;
}): BulkWriter => {
  const { client, alias, buildingAlias, timeoutMs } = options;

  /** Runs before every bulk request and is never cached. A rebuild's `begin` relies on it. */
  const isBuilding = async () => {
    const { status } = await request(client, {
      method: 'HEAD',
      path: `/_alias/${buildingAlias}`,
      timeoutMs,
      expected: [404],
    });
    return status === 200;
  };

  const send = async <Source>(operations: Operation<Source>[], targets: string[]): Promise<Outcome[]> => {
    const lines = operations.flatMap(({ lines }) => targets.map(lines)).join('');
    const { body } = await request<BulkAnswer>(client, {
      method: 'POST',
      path: '/_bulk',
      query: {
        filter_path: 'items.*.status,items.*.error.type,items.*.error.reason',
        timeout: `${timeoutMs}ms`,
      },
      lines,
      timeoutMs,
    });
    const outcomes = body.items.map(({ index, delete: removal }) => outcomeOf(index ?? removal));
    return operations.map((_, at) =>
      targets
        .map((target, offset) => {
          const outcome = outcomes[at * targets.length + offset] ?? {
            kind: 'later',
            reason: 'no answer for it',
          };
          // The rebuild has ended since the check, so nothing needs to be written there.
          return target === buildingAlias &&
            targets.length > 1 &&
            outcome.kind === 'later' &&
            outcome.reason.startsWith('404')
            ? ({ kind: 'done' } as const)
            : outcome;
        })
        .reduce(worse),
    );
  };

  const run = async <Source>(all: Operation<Source>[], onlyBuilding = false) => {
    const refused: { source: Source; reason: string }[] = [];
    for (const slice of slices(all)) {
      let left = slice;
      let reason = '';
      const deadline = Date.now() + timeoutMs;
      for (let attempt = 1; left.length > 0; attempt++) {
        try {
          const targets = onlyBuilding
            ? [buildingAlias]
            : (await isBuilding())
              ? [alias, buildingAlias]
              : [alias];
          const outcomes = await send(left, targets);
          left = left.filter((operation, at) => {
            const outcome = outcomes[at];
            if (outcome?.kind === 'refused')
              refused.push({ source: operation.source, reason: outcome.reason });
            if (outcome?.kind === 'later') reason = outcome.reason;
            return outcome?.kind === 'later';
          });
        } catch (error) {
          if (!(error instanceof SearchUnavailable)) throw error;
          reason = error.cause instanceof Error ? error.cause.message : error.message;
        }
        if (left.length === 0) break;
        const pauseMs = firstPauseMs * 2 ** (attempt - 1) * (0.5 + Math.random());
        if (attempt === attempts || Date.now() + pauseMs > deadline) {
          throw new IndexRetryLater(`${left.length} of ${all.length} not written to the index: ${reason}`);
        }
        await delay(pauseMs);
      }
    }
    return refused;
  };

  const writeAll = async <Message extends IndexedMessage>(
    messages: readonly Message[],
    onlyBuilding: boolean,
  ) => {
    const refused = await run(
      messages.map((message) => indexing(message)),
      onlyBuilding,
    );
    return { refused: refused.map(({ source, reason }) => ({ message: source, reason })) };
  };

  return {
    write: (messages) => writeAll(messages, false),
    fill: (messages) => writeAll(messages, true),
    remove: async (refs) => {
      const refused = await run(refs.map(removing));
      const first = refused[0];
      if (first) throw new IndexRetryLater(`${refused.length} not removed from the index: ${first.reason}`);
    },
  };
};

const indexing = <Message extends IndexedMessage>(message: Message): Operation<Message> => {
  const document = JSON.stringify(toDocument(message));
  return {
    source: message,
    lines: (target) =>
      `${JSON.stringify({
        index: {
          _index: target,
          _id: messageReference(message),
          routing: message.token,
          version: message.version,
          version_type: 'external_gte',
          // Without it, a write to a dropped index would create an index with a guessed mapping.
          require_alias: true,
        },
      })}\n${document}\n`,
  };
};

const removing = (ref: MessageReference): Operation<MessageReference> => ({
  source: ref,
  lines: (target) =>
    `${JSON.stringify({ delete: { _index: target, _id: messageReference(ref), routing: ref.token } })}\n`,
});

const outcomeOf = (item: Item | undefined): Outcome => {
  if (!item) return { kind: 'later', reason: 'no answer for it' };
  // The server's reason quotes the value, so only the field is taken from it.
  const [, field] = item.error?.reason.match(/^failed to parse field \[(\w+)\]/) ?? [];
  const reason = `${item.status} ${typeOf(item.error?.type)}${field === undefined ? '' : ` in field ${field}`}`;
  // After a conflict the index already has a newer version; a missing document is already removed.
  if (item.status < 300 || item.status === 409 || (item.status === 404 && !item.error))
    return { kind: 'done' };
  // The document causes a 400, unless the index is closed. All other states (overload, a missing shard, a full disk, no
  // index yet) may pass.
  const isAboutDocument = item.status === 413 || (item.status === 400 && item.error?.type !== indexClosed);
  return { kind: isAboutDocument ? 'refused' : 'later', reason };
};

const severity = { done: 0, refused: 1, later: 2 } as const;
const worse = (one: Outcome, other: Outcome) => (severity[other.kind] > severity[one.kind] ? other : one);

const slices = function* <Source>(operations: Operation<Source>[]) {
  let slice: Operation<Source>[] = [];
  let bytes = 0;
  for (const operation of operations) {
    const size = Buffer.byteLength(operation.lines(''));
    if (slice.length > 0 && bytes + size > maxBulkBytes) {
      yield slice;
      slice = [];
      bytes = 0;
    }
    slice.push(operation);
    bytes += size;
  }
  if (slice.length > 0) yield slice;
};
