import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import { instantMs } from '../fields.ts';

/** The largest accepted difference between the clocks of two machines. */
const SKEW_MS = 5 * 60 * 1000;

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

/** The bounds of a request's `createdAt`. */
export const date = instantMs.refine((ms) => ms >= 0 && ms <= Date.now() + limits.futureMs + SKEW_MS, {
  error: 'Must be between 1970 and a day from now',
});

/**
 * `date`: the time of the item or of the edit. `commandId`: microseconds since 1970, increasing with every command that the API accepts. It identifies the
 * command and is the version of the written row. `epoch`: the opening of the gate in which the command was
 * accepted. Commands of other programs have neither id nor epoch.
 */
export const origin = { date, commandId: z.int().min(1).optional(), epoch: z.int().min(1).optional() };
type Origin = { date: number; commandId?: number | undefined; epoch?: number | undefined };

const nowMicros = () => Date.now() * 1000;
export const isNotAhead = ({ commandId = 0, epoch }: Origin) =>
  epoch !== undefined || commandId <= nowMicros() + (limits.futureMs + SKEW_MS) * 1000;
export const ahead = { path: ['commandId'], error: 'Must not be a time in the future' };

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
/** Reads an edit. Without an id it takes its date as the version, at most the current time. */
export const toEdit = <Command extends Origin>({ date, ...command }: Command) => {
  const commandId = command.commandId ?? Math.min(toIdentity({ ...command, date }), nowMicros());
  return { ...command, editedAtMs: date, commandId, version: commandId };
};
