import common from './common-passwords.json' with { type: 'json' };

/** One form for all spellings that a guesser would try first. */
const comparable = (text: string) => text.normalize('NFKC').toLowerCase().replaceAll(/\s+/g, '');

const commonest = new Set(common.passwords.flatMap((line) => line.split(' ')));

/**
 * Refuses the passwords that attackers guess first: the commonest ones, and public facts about the user. Spelling in
 * upper case, in full-width letters or with spaces makes no difference.
 * @returns the fault of the password, for the user to read; undefined for an accepted one
 */
export const findPasswordFault = (
  password: string,
  { name, email }: { name: string; email: string },
): string | undefined => {
  const guess = comparable(password);
  // Nothing but spaces and characters without a form.
  if (guess.replaceAll(/[\p{Default_Ignorable_Code_Point}\p{C}\p{Z}]/gu, '') === '')
    return 'Must not be blank';
  const [localPart = ''] = email.split('@');
  if ([name, email, localPart].some((known) => comparable(known) === guess)) {
    return 'Must not be the name or the e-mail address';
  }
  return commonest.has(guess) ? 'Is one of the most common passwords' : undefined;
};
