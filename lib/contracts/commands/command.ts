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
  /** The field that accepting assigns. Present on commands that create an item. */
  creates?: 'token' | 'chatNumber' | 'messageNumber';
  /**
   * The API accepts the command, so Redis keeps it in an outbox until MySQL has it. Recoveries send barriers through its
   * queue.
   */
  outbox: boolean;
  schema: Schema;
};

export const command = <const Contract extends CommandContract>(contract: Contract) => contract;

/**
 * A command as its consumer reads it. `digest`: the SHA-1 of the message that brought a command of this API. Only an
 * outbox entry with the same text is settled. Commands of other programs have none.
 */
export type Read<Contract extends CommandContract> = z.output<Contract['schema']> & {
  digest?: string | undefined;
};
