import { randomInt } from 'node:crypto';

const SIGNS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const LENGTH = 16;

/** @returns a new user's handle: 16 random characters of `[a-z0-9]`, 82 bits, so no two are ever the same */
export const createHandle = (): string =>
  Array.from({ length: LENGTH }, () => SIGNS[randomInt(SIGNS.length)]).join('');
