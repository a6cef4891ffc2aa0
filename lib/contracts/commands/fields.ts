import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import { msOfId } from '#lib/domain/message.ts';
import { body, instantMs, name, token } from '../fields.ts';

/** The id of a user. */
export const id = z.int().min(1);
/**
 * One below the column's limit: storing a number raises the counter to it, and the next number must fit as
 * well.
 */
export const number = z
  .int()
  .min(1)
  .max(limits.number - 1);
/** The name from sign-up. It follows the rules of that time, which may have been looser than today's. */
export const senderName = z
  .string()
  .min(1)
  .max(limits.name)
  .refine((text) => text.isWellFormed(), { error: 'Must be well-formed Unicode (no lone surrogate)' });

/** The text of a message; empty for a deleted one. */
export const bodyOrNone = z.union([body, z.literal('')]);
/** Present for a deletion, and for a deleted message. */
export const deleted = z.literal(true).nullish();
type Emptied = { body: string; deleted?: true | null | undefined };
export const isEmptyIfDeleted = ({ body, deleted }: Emptied) => (body === '') === (deleted === true);
export const notEmptied = { path: ['body'], error: 'Must be empty beside `deleted`, and only there' };

/** The latest accepted time: a day from now, and the skew of two clocks. */
const latestMs = () => Date.now() + limits.futureMs + limits.skewMs;
const nowMicros = () => Date.now() * 1000;

/** The bounds of a request's `createdAt`. */
export const date = instantMs.refine((ms) => ms >= 0 && ms <= latestMs(), {
  error: 'Must be between 1970 and a day from now',
});

/** An id or a version: microseconds since 1970. A later one would win over every edit until then. */
export const micros = z
  .int()
  .min(1)
  .refine((value) => value <= latestMs() * 1000, { error: 'Must not be more than a day ahead' });

/**
 * `date`: the time of the item or of the edit. `commandId`: microseconds since 1970, increasing with every command that
 * the API accepts. It identifies the command and is the version of the written row. `epoch`: the opening of the gate in
 * which the command was accepted; consumers check that MySQL knows it. Commands of other programs have no epoch.
 */
export const origin = { date, commandId: micros.optional(), epoch: z.int().min(1).optional() };
type Origin = { date: number; commandId?: number | undefined; epoch?: number | undefined };

export const hasIdOfEpoch = ({ commandId, epoch }: Origin) => epoch === undefined || commandId !== undefined;
export const noId = { path: ['commandId'], error: 'Must be present beside an epoch' };

export const hasNameOfRequest = ({
  senderName,
  epoch,
}: {
  senderName?: unknown;
  epoch?: number | undefined;
}) => epoch !== undefined || (senderName ?? undefined) === undefined || name.safeParse(senderName).success;
export const noNameOfRequest = { path: ['senderName'], error: 'Must be a name as in a request' };

/** The id, epoch and numbers of a command of this API, as far as a malformed message contains them. */
export const acceptedCommand = z.object({
  epoch: z.int().min(1),
  commandId: micros,
  token,
  chatNumber: number.optional(),
  messageNumber: number.optional(),
});

const toIdentity = ({ commandId, date }: Origin) => commandId ?? Math.max(1, date * 1000);

/**
 * Reads a creation. Without an id it takes its date as the id, which is the same at every delivery. Its version is at most the
 * current time, so that a future date does not win over later edits.
 */
export const toCreation = <Command extends Origin>({ date, ...command }: Command) => {
  const commandId = toIdentity({ ...command, date });
  const version = command.epoch === undefined ? Math.min(commandId, nowMicros()) : commandId;
  return { ...command, createdAtMs: date, commandId, version };
};
/**
 * Reads an edit. Without an id it takes its date as the version, at most the current time. The edits of this API take their
 * time from the id, because the clocks of two handlers may differ: a later edit never has an earlier time.
 */
export const toEdit = <Command extends Origin>({ date, ...command }: Command) => {
  const commandId = command.commandId ?? Math.min(toIdentity({ ...command, date }), nowMicros());
  const editedAtMs = command.epoch === undefined ? date : msOfId(commandId);
  return { ...command, editedAtMs, commandId, version: commandId };
};
