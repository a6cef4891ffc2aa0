import { randomUUID } from 'node:crypto';
import { acceptedQueues } from '#lib/contracts/commands/all.ts';

/** A message that another program might publish, by mistake or on purpose. */
export type Forged = { queue: string; content: string; messageId: string; mark: string };

/** An accepted command that MySQL does not have yet. */
type Pending = { queue: string; content: string; messageId: string };

const forgedMark = 'forged';
/** Of a message that may also be dropped as a straggler. */
const droppableMark = 'maybe-forged';

/** Whether the message can only become a dead letter. */
export const mustBeDead = ({ mark }: Forged): boolean => mark.startsWith(forgedMark);

/** @returns the mark in the content of a dead letter, if it was forged */
export const markIn = (content: string): string | undefined => /(?:maybe-)?forged-[\w-]+/.exec(content)?.[0];

const HUGE = Number.MAX_SAFE_INTEGER;
const LAST_NUMBER = 4_294_967_294;
const nobody = 999_999_999;

const place = (token: string) => ({ token, chatNumber: 1, messageNumber: 1 });
const commandsOf = (token: string): Record<string, object> => {
  const date = new Date().toISOString();
  return {
    'create-application': { token: randomUUID(), name: 'forged', creatorId: nobody, date },
    'update-application': { token, name: 'forged', date },
    'create-chat': { token, chatNumber: LAST_NUMBER, title: 'forged', creatorId: nobody, date },
    'update-chat': { token, chatNumber: 1, title: 'forged', date },
    'create-message': { ...place(token), messageNumber: LAST_NUMBER, senderId: nobody, body: 'forged', date },
    'update-message': { ...place(token), body: 'forged', date },
  };
};

/**
 * One message of each kind that must not be trusted.
 * @param token an application that exists
 * @param pending accepted commands, whose ids some of the messages claim
 */
export const forge = (token: string, pending: readonly Pending[]): Forged[] => {
  const all: Forged[] = [];
  const add = (queue: string, content: object | string, prefix = forgedMark, messageId?: string) => {
    // The mark is also in the content: a message that claims the id of another has no id of its own.
    const mark = `${prefix}-${randomUUID()}`;
    const marked = typeof content === 'string' ? `${content} ${mark}` : JSON.stringify({ ...content, mark });
    all.push({ queue, content: marked, messageId: messageId ?? randomUUID(), mark });
  };
  const commands = commandsOf(token);
  for (const queue of acceptedQueues) {
    const command = { ...commands[queue] };
    add(queue, { ...command, commandId: HUGE, epoch: 1_000_000_000 });
    add(queue, { ...command, commandId: HUGE });
    add(queue, { ...command, commandId: Date.now() * 1000, epoch: HUGE });
    add(queue, { ...place(token), commandId: HUGE, epoch: 1 });
    add(queue, { barrier: { id: randomUUID(), epoch: HUGE } });
  }
  const date = new Date().toISOString();
  add('index-message', {
    ...place(token),
    senderName: 'forged',
    body: 'forged',
    createdAt: date,
    version: HUGE,
  });
  add('update-message', { ...place(token), body: '', date });
  add('update-message', { ...place(token), body: 'forged', deleted: true, date });
  add('index-message', { barrier: { id: randomUUID(), epoch: 1 } });
  add('create-chat', { ...commands['create-chat'] });
  add('create-message', { ...commands['create-message'] });
  const [first] = pending.filter(({ queue }) => queue === 'create-message');
  if (first !== undefined) {
    const { commandId, epoch, ...ours } = JSON.parse(first.content);
    add('create-message', 'not JSON', forgedMark, first.messageId);
    add('create-message', { commandId, epoch, token }, forgedMark, first.messageId);
    add('create-message', { ...ours, commandId, senderId: nobody }, forgedMark, first.messageId);
    add('create-message', { ...ours, commandId, epoch, senderId: nobody }, droppableMark, first.messageId);
  }
  return all;
};
