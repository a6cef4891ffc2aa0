import { limits } from './limits.ts';

/** The canonical form of an address, as in the database, the counters and the hashes of logs. */
export type EmailAddress = string & { readonly isEmailAddress: true };

/** HTML's `<input type=email>`: ASCII without spaces, so that lower case is the only other spelling of an address. */
export const emailPattern =
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

const isCanonical = (text: string): text is EmailAddress =>
  text.length <= limits.email && emailPattern.test(text) && text === text.toLowerCase();

/**
 * Parses an address as a client wrote it. Sign-up, sign-in and the counters of failed sign-ins all use this function.
 * @returns the address in lower case; undefined for a text that cannot name an account
 */
export const parseEmailAddress = (text: string): EmailAddress | undefined => {
  if (!emailPattern.test(text)) return undefined;
  const address = text.toLowerCase();
  return isCanonical(address) ? address : undefined;
};
