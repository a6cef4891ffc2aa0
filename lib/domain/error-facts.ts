/*
 * Errors of drivers carry data: a statement with its values, the arguments of a command, a request with its body, an answer.
 * Their messages quote values. Only these facts may be logged or become the reason of a dead letter.
 */

/** The facts of an error that may be written down. `state`: the SQLSTATE of a database. `stack`: the frames, without the message. */
export type ErrorFacts = {
  name: string;
  message: string;
  code?: string | number;
  state?: string;
  stack?: string;
  cause?: ErrorFacts;
};

const MAX_LENGTH = 500;
const MAX_CAUSES = 5;

/** The beginning of a quotation. An apostrophe inside a word begins none. */
const opening = /(?<![\p{L}\p{N}])['"`‘“„«]/u;
const marks = /['"`’”“»]/gu;

/** Credentials and parameters of a URL. */
const withoutSecrets = (text: string): string =>
  text.replace(/(:\/\/)[^\s/@]*@/g, '$1').replace(/(:\/\/[^\s?#]*)[?#]\S*/g, '$1');

/**
 * Replaces all between the first and the last quotation mark, since a quoted value may contain marks itself. Without a
 * closing mark the rest of the text is dropped. URLs lose their credentials and parameters.
 */
export const withoutQuotes = (said: string): string => {
  const text = withoutSecrets(said);
  const from = text.search(opening);
  if (from < 0) return text.slice(0, MAX_LENGTH);
  const last = [...text.matchAll(marks)].at(-1)?.index ?? from;
  const rest = last > from ? text.slice(last + 1) : '';
  return `${text.slice(0, from)}'…'${rest}`.slice(0, MAX_LENGTH);
};

const frames = (stack: string | undefined): string | undefined =>
  stack
    ?.split('\n')
    .filter((line) => /^ {4}at [^'"`]*:\d+:\d+\)?$/.test(line))
    .join('\n');

const propertyOf = (error: Error, name: 'code' | 'sqlState'): unknown =>
  Object.entries(error).find(([key]) => key === name)?.[1];

/** A code is one word, such as `ER_DUP_ENTRY`, `ECONNRESET` or 404. */
const codeOf = (error: Error): string | number | undefined => {
  const code = propertyOf(error, 'code');
  return typeof code === 'number' || (typeof code === 'string' && /^[\w-]{1,64}$/.test(code))
    ? code
    : undefined;
};

const stateOf = (error: Error): string | undefined => {
  const state = propertyOf(error, 'sqlState');
  return typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) ? state : undefined;
};

/** @returns the facts of a thrown value, and about its causes */
export const factsOf = (error: unknown, depth = MAX_CAUSES): ErrorFacts => {
  if (!(error instanceof Error))
    return { name: typeof error, message: 'Something else than an Error was thrown' };
  const code = codeOf(error);
  const state = stateOf(error);
  const stack = frames(error.stack);
  return {
    name: withoutQuotes(error.name),
    message: withoutQuotes(error.message),
    ...(code === undefined ? {} : { code }),
    ...(state === undefined ? {} : { state }),
    ...(stack === undefined ? {} : { stack }),
    ...(error.cause instanceof Error && depth > 0 ? { cause: factsOf(error.cause, depth - 1) } : {}),
  };
};

/** The facts in one line: `Data too long for column '…' at row 1 (ER_DATA_TOO_LONG, 22001)`. */
export const describeError = (error: unknown): string => {
  const { message, code, state } = factsOf(error);
  const codes = [code, state].filter((one) => one !== undefined);
  return codes.length === 0 ? message : `${message} (${codes.join(', ')})`;
};

const statusOf = (error: unknown): { statusCode?: number } =>
  error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? { statusCode: error.statusCode }
    : {};

/** @returns an error with the facts only, to be thrown in place of a driver's */
export const withoutData = (error: unknown): Error => {
  const { name, message, code, state, stack } = factsOf(error);
  const cause = error instanceof Error && error.cause instanceof Error ? withoutData(error.cause) : undefined;
  const safe = new Error(message, cause === undefined ? undefined : { cause });
  safe.stack = `${name}: ${message}\n${stack ?? ''}`;
  return Object.assign(safe, {
    name,
    ...(code === undefined ? {} : { code }),
    ...(state === undefined ? {} : { sqlState: state }),
    ...statusOf(error),
  });
};
