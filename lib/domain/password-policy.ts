import common from './common-passwords.json' with { type: 'json' };
import { isVisible } from './text.ts';

/** One form for all spellings that a guesser would try first. */
const comparable = (text: string) => text.normalize('NFKC').toLowerCase().replaceAll(/\s+/g, '');

const commonest = new Set(common.passwords.flatMap((line) => line.split(' ')));

const ignored = /[\p{Default_Ignorable_Code_Point}\p{C}\p{Z}]/gu;
const signs = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** Whether a text is one sign, as a reader sees it, once or repeated. */
const isOneSign = (text: string): boolean =>
  new Set(Array.from(signs.segment(text), ({ segment }) => segment)).size <= 1;

/**
 * Refuses the passwords that attackers guess first: the commonest ones, one sign repeated, and public facts about the user. Spelling in
 * upper case, in full-width letters or with spaces makes no difference.
 * @returns the fault of the password, for the user to read; undefined for an accepted one
 */
export const findPasswordFault = (
  password: string,
  { name, email }: { name: string; email: string },
): string | undefined => {
  const guess = comparable(password);
  if (!isVisible(guess)) return 'Must not be blank';
  if (isOneSign(password) || isOneSign(guess.replaceAll(ignored, ''))) return 'Must not repeat one character';
  const [localPart = ''] = email.split('@');
  if ([name, email, localPart].some((known) => comparable(known) === guess)) {
    return 'Must not be the name or the e-mail address';
  }
  return commonest.has(guess) ? 'Is one of the most common passwords' : undefined;
};
