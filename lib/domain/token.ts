const BYTES = 18;

/** @returns a new application's token, which nobody can guess */
export const createToken = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(BYTES))).toString('base64url');
