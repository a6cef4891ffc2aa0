import { createHash, randomUUID } from 'node:crypto';
import { forbidden, KnownError, notFound, unprocessable } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import type { RedisClient } from '../connection/client.ts';
import { gateLua } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';

/** The parameters of every function of a command file. */
export type Cell = { client: RedisClient; keys: Keys };

/** The client's `Idempotency-Key`, if it gave one, and the keyed hashes of its request, separated by commas. */
export type Idempotency = { key: string; fingerprint: string } | undefined;

/** A command to publish, with the exact text in the outbox. */
type Accepted = { id: string; content: string };

/** The result of accepting a request. 'accepted': `answer` is the number or token, and `command` the command
 * to publish. A repeated request has no command once MySQL has stored it. `epoch`: the gate must still be
 * open in this epoch when the request is answered. 'unverified': the parent's counter must be verified
 * against MySQL first, for the epoch `lost`. 'unknown': only MySQL knows the creator.
 */
export type Outcome =
  | { kind: 'accepted'; answer: string; epoch: string; command: Accepted | undefined }
  | { kind: 'closed' }
  | { kind: 'unverified'; lost: string }
  | { kind: 'unknown' };

/** Answers of the accepting scripts. */
export type AcceptReply =
  | ['accepted', answer: string, id: string, epoch: string]
  | ['repeated', answer: string, id: string, epoch: string, content: string]
  | ['unverified', lost: string]
  | ['closed' | 'missing' | 'forbidden' | 'unknown' | 'reused' | 'full'];

const DAY_SECONDS = 24 * 60 * 60;
/**
 * Expiry of generated keys. Without a key of the client, only a second try of the same call, on another
 * connection, is a repetition. It is sent within 6 s (guard.ts), and a silent connection ends after 5 s.
 */
const RETRY_SECONDS = 12;

const digestOf = (parts: unknown[]) => createHash('sha256').update(JSON.stringify(parts)).digest('base64url');

/** The values by which `acceptLua` recognizes a repeated request. */
export const repeatable = ({ keys }: Cell, callerId: number, given: Idempotency) => ({
  idempotency: keys.idempotency(given === undefined ? randomUUID() : digestOf([callerId, given.key])),
  fingerprint: given?.fingerprint ?? '',
  seconds: given === undefined ? RETRY_SECONDS : DAY_SECONDS,
});

/**
 * The Lua functions of all accepting scripts. All refusals come before the first write, which is the outbox
 * entry, so a script that fails has done nothing.
 */
export const acceptLua = /* lua */ `
${gateLua}
-- The highest number that a command may have.
local MAX_NUMBER = ${limits.number - 1}
-- Microseconds since 1970, increasing at every call: the command's id and the version of the row that it
-- writes.
local function nextId(clock)
  local id = nowMicros()
  local last = tonumber(clock or '0')
  if id <= last then id = last + 1 end
  return text(id)
end
-- Adds number, id and epoch to the command and puts its final text into the outbox.
local function keep(state, outbox, command, id, epoch, fields)
  command = string.sub(command, 1, -2) .. fields .. ',"commandId":' .. id .. ',"epoch":' .. epoch .. '}'
  redis.call('XADD', outbox, id .. '-0', 'c', command)
  redis.call('HSET', state, 'clock', id)
  return command
end
local function remember(idempotency, seconds, fingerprint, answer, id)
  redis.call('SET', idempotency, fingerprint .. ' ' .. answer .. ' ' .. id, 'EX', seconds)
end
-- A fingerprint has one hash for each secret in use. Two of one request share a hash, also during a rotation.
local function isSame(one, other)
  if one == other then return true end
  for hash in string.gmatch(one, '[^,]+') do
    if string.find(',' .. other .. ',', ',' .. hash .. ',', 1, true) then return true end
  end
  return false
end
-- The first answer to the same request, with the command while it is pending.
local function repeated(first, fingerprint, outbox, epoch)
  local firstFingerprint, answer, id = string.match(first, '^(.-) (%S+) (%d+)$')
  if not isSame(firstFingerprint, fingerprint) then return { 'reused' } end
  return { 'repeated', answer, id, epoch, fromOutbox(outbox, id) or '' }
end
`;

/** Adds the same fields to the command as `keep` in Lua. */
const complete = (command: string, fields: string, id: string, epoch: string): string =>
  `${command.slice(0, -1)}${fields},"commandId":${id},"epoch":${epoch}}`;

/**
 * @param command the JSON that the script got
 * @param fieldsOf returns the fields that the script added, for an assigned number
 * @throws not-found, forbidden, unprocessable (the key was used for another request), conflict (no number is left)
 */
export const outcomeOf = (
  what: string,
  reply: AcceptReply,
  command: string,
  fieldsOf: (answer: string) => string,
): Outcome => {
  switch (reply[0]) {
    case 'accepted': {
      const [, answer, id, epoch] = reply;
      return {
        kind: 'accepted',
        answer,
        epoch,
        command: { id, content: complete(command, fieldsOf(answer), id, epoch) },
      };
    }
    case 'repeated': {
      const [, answer, id, epoch, content] = reply;
      return { kind: 'accepted', answer, epoch, command: content === '' ? undefined : { id, content } };
    }
    case 'unverified':
      return { kind: 'unverified', lost: reply[1] };
    case 'closed':
    case 'unknown':
      return { kind: reply[0] };
    case 'missing':
      throw notFound(what);
    case 'forbidden':
      throw forbidden(`Only the creator of the ${what} may change it.`);
    case 'reused':
      throw unprocessable('This Idempotency-Key was used for another request.');
    case 'full':
      throw new KnownError('conflict', `The ${what} is full: no number is left.`);
  }
};
