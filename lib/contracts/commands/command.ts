import type * as z from 'zod';

/** What a command creates or changes. */
type Item = 'application' | 'chat' | 'message';

/** A command: all that its producer, its scripts, its consumer and its table agree on. */
export type CommandContract<Schema extends z.ZodType = z.ZodType> = {
  /** Name of the queue and of the command. */
  queue: string;
  /** Key of the consumer function in serverless.yml. */
  function: string;
  item: Item;
  /** The item whose counter numbers a created item, and must exist for an edit. */
  parent?: Item;
  /** The field that names a created item. Accepting assigns the numbers. Absent from edits. */
  creates?: 'token' | 'chatNumber' | 'messageNumber';
  /**
   * The API accepts the command, so Redis keeps it in an outbox until MySQL has it. Recoveries send barriers through its
   * queue.
   */
  outbox: boolean;
  schema: Schema;
};

export const command = <const Contract extends CommandContract>(contract: Contract) => contract;

/** What must exist: the parent of a created item, or the edited item itself. */
export const neededItem = ({ item, parent = item, creates }: CommandContract): Item =>
  creates === undefined ? item : parent;

/** A command as its queue carries it. */
export type Written<Contract extends CommandContract> = z.input<Contract['schema']>;
/**
 * A command as its consumer reads it. `digest`: the SHA-1 of the message that brought a command of this API. Only an
 * outbox entry with the same text is settled. Commands of other programs have none.
 */
export type Read<Contract extends CommandContract> = z.output<Contract['schema']> & {
  digest?: string | undefined;
};

/** The fields that accepting adds. */
type Assigned<Contract extends CommandContract> =
  | 'commandId'
  | 'epoch'
  | (Contract extends { creates: infer Field extends string } ? Exclude<Field, 'token'> : never);
/** The JSON of a command before it is accepted. */
export type Unnumbered<Contract extends CommandContract> = Omit<Written<Contract>, Assigned<Contract>>;

/**
 * What a producer gives. `generation`: of the access token, 0 by default. `createdAtMs`: default now. `callerId`: who edits. `expected`: the edit is refused unless the
 * item has one of these versions (RFC 9110, 13.1.1).
 */
export type Given<Contract extends CommandContract> = Omit<Unnumbered<Contract>, 'date'> & {
  generation?: number;
} & (Contract extends { creates: string }
    ? { createdAtMs?: number }
    : { callerId: number; expected?: readonly number[] | undefined });

/** What accepting answers: the token or number of a created item. */
export type Answer<Contract extends CommandContract> = Contract extends {
  creates: infer Field extends string;
}
  ? Written<Contract>[Field & keyof Written<Contract>]
  : undefined;
