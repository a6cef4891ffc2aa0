import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import { body, instantMs, name, title, token } from './fields.ts';

const id = z.int().min(1);
/**
 * One below the column's limit: storing a number raises the counter to it, and the next number must fit as
 * well.
 */
const number = z
  .int()
  .min(1)
  .max(limits.number - 1);
/** The name from sign-up. It follows the rules of that time, which may have been looser than today's. */
const senderName = z
  .string()
  .min(1)
  .max(limits.name)
  .refine((text) => text.isWellFormed(), { error: 'Must be well-formed Unicode (no lone surrogate)' });

/** The latest accepted time: a day from now, and the skew of two clocks. */
const latestMs = () => Date.now() + limits.futureMs + limits.skewMs;
const nowMicros = () => Date.now() * 1000;

/** The bounds of a request's `createdAt`. */
const date = instantMs.refine((ms) => ms >= 0 && ms <= latestMs(), {
  error: 'Must be between 1970 and a day from now',
});

/** An id or a version: microseconds since 1970. A later one would win over every edit until then. */
const micros = z
  .int()
  .min(1)
  .refine((value) => value <= latestMs() * 1000, { error: 'Must not be more than a day ahead' });

/**
 * `commandId`: microseconds since 1970, increasing with every command that the API accepts. It identifies the
 * command and is the version of the written row. `epoch`: the opening of the gate in which the command was
 * accepted; consumers check that MySQL knows it. Commands of other programs have no epoch.
 */
const origin = { commandId: micros.optional(), epoch: z.int().min(1).optional() };
type Origin = { date: number; commandId?: number | undefined; epoch?: number | undefined };

const hasIdOfEpoch = ({ commandId, epoch }: Origin) => epoch === undefined || commandId !== undefined;
const noId = { path: ['commandId'], error: 'Must be present beside an epoch' };

const hasNameOfRequest = ({ senderName, epoch }: { senderName?: unknown; epoch?: number | undefined }) =>
  epoch !== undefined || (senderName ?? undefined) === undefined || name.safeParse(senderName).success;
const noNameOfRequest = { path: ['senderName'], error: 'Must be a name as in a request' };

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
 * A creation without an id takes its date as the id, which is the same at every delivery. Its version is at most the
 * current time, so that a future date does not win over later edits.
 */
const creation = <Command extends Origin>({ date, ...command }: Command) => {
  const commandId = toIdentity({ ...command, date });
  const version = command.epoch === undefined ? Math.min(commandId, nowMicros()) : commandId;
  return { ...command, dateMs: date, commandId, version };
};
/** An edit without an id takes its date as the version, at most the current time. */
const edit = <Command extends Origin>({ date, ...command }: Command) => ({
  ...command,
  dateMs: date,
  commandId: command.commandId ?? Math.min(toIdentity({ ...command, date }), nowMicros()),
});

export type CommandContract<Schema extends z.ZodType = z.ZodType> = {
  /** Name of the queue and of the command. */
  queue: string;
  /** Key of the consumer function in serverless.yml. */
  function: string;
  /** The command creates a numbered item. */
  isCreation: boolean;
  /** The API accepts the command into an outbox. Recoveries send barriers through its queue. */
  hasOutbox: boolean;
  schema: Schema;
};

const command = <Schema extends z.ZodType>(contract: CommandContract<Schema>) => contract;

export const createApplicationCommand = command({
  queue: 'create-application',
  function: 'persistApplication',
  isCreation: true,
  hasOutbox: true,
  schema: z
    .object({ token, name, creatorId: id, date, ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(creation),
});

export const updateApplicationCommand = command({
  queue: 'update-application',
  function: 'persistApplicationUpdate',
  isCreation: false,
  hasOutbox: true,
  schema: z
    .object({ token, name, date, ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(edit),
});

export const createChatCommand = command({
  queue: 'create-chat',
  function: 'persistChat',
  isCreation: true,
  hasOutbox: true,
  schema: z
    .object({ token, chatNumber: number, creatorId: id, title: title.nullish(), date, ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(creation),
});

export const createMessageCommand = command({
  queue: 'create-message',
  function: 'persistMessage',
  isCreation: true,
  hasOutbox: true,
  schema: z
    .object({
      token,
      chatNumber: number,
      messageNumber: number,
      senderId: id,
      senderName: senderName.nullish(),
      body,
      date,
      ...origin,
    })
    .refine(hasIdOfEpoch, noId)
    .refine(hasNameOfRequest, noNameOfRequest)
    .transform(creation),
});

export const updateMessageCommand = command({
  queue: 'update-message',
  function: 'persistMessageUpdate',
  isCreation: false,
  hasOutbox: true,
  schema: z
    .object({ token, chatNumber: number, messageNumber: number, body, date, ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(edit),
});

/** The format of the index: UTC with milliseconds. */
const indexedInstant = date.transform((ms) => new Date(ms).toISOString());

export const indexMessageCommand = command({
  queue: 'index-message',
  function: 'indexMessage',
  isCreation: false,
  hasOutbox: false,
  schema: z.object({
    token,
    chatNumber: number,
    messageNumber: number,
    senderName,
    body,
    createdAt: indexedInstant,
    editedAt: indexedInstant.nullish(),
    version: micros,
  }),
});

/**
 * `digest`: the SHA-1 of the message that brought a command of this API. Only an outbox entry with the same text is
 * settled. Commands of other programs have none.
 */
type Read<Output> = Output & { digest?: string | undefined };
/** `version` is the version of the created row. Default: the command's id. */
type Creation<Output> = Read<Omit<Output, 'version'> & { version?: number }>;

export type CreateApplication = Creation<z.output<(typeof createApplicationCommand)['schema']>>;
export type UpdateApplication = Read<z.output<(typeof updateApplicationCommand)['schema']>>;
export type CreateChat = Creation<z.output<(typeof createChatCommand)['schema']>>;
export type CreateMessage = Creation<z.output<(typeof createMessageCommand)['schema']>>;
export type UpdateMessage = Read<z.output<(typeof updateMessageCommand)['schema']>>;
export type IndexMessage = z.output<(typeof indexMessageCommand)['schema']>;

/** Every command, in the order in which one may depend on another. */
export const commands = [
  createApplicationCommand,
  updateApplicationCommand,
  createChatCommand,
  createMessageCommand,
  updateMessageCommand,
  indexMessageCommand,
] as const satisfies readonly CommandContract[];

export const queueNames: readonly string[] = commands.map(({ queue }) => queue);
