/**
 * Parses JSON as a file or a program may send it: a byte order mark in front is not part of it (RFC 8259, 8.1).
 * @throws SyntaxError for any other text
 */
export const parseJson = (text: string): unknown =>
  JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text);
