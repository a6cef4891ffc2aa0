import type { Submit } from '#lib/writing/submit.ts';

/** A write as a function submits it: the queue of its command, its fields, and its Idempotency-Key. */
type Submitted = [queue: string, given: object, idempotency?: unknown];

/** A submit that keeps its calls and gives one answer. */
export const recordingSubmit = (answer?: unknown) => {
  const submitted: Submitted[] = [];
  const submit = async (command: { queue: string }, given: object, idempotency?: unknown) => {
    submitted.push(idempotency === undefined ? [command.queue, given] : [command.queue, given, idempotency]);
    return answer;
  };
  return { submitted, submit: submit as Submit };
};

/** A submit that refuses every write. */
export const refusingSubmit = (error: Error) => (() => Promise.reject(error)) as Submit;
