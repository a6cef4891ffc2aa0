import { badInput, KnownError } from '#lib/domain/errors.ts';
import { parseJson } from '#lib/domain/json.ts';
import { limits } from '#lib/domain/limits.ts';
import { type HttpEvent, type HttpMiddleware, headerOf } from './middleware.ts';

type Body = { body: string; isBase64Encoded: boolean };

/** Parameters do not change the type (RFC 9110, 8.3.1), except for a `charset` that contradicts UTF-8. */
const isJson = (contentType: string): boolean => {
  if (!/^application\/json[ \t]*(;[^,]*)?$/i.test(contentType)) return false;
  const charsets = contentType.matchAll(/;[ \t]*charset[ \t]*=[ \t]*"?([^";]*)/gi);
  return [...charsets].every(([, charset]) => charset?.trim().toLowerCase() === 'utf-8');
};
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * @throws KnownError 'not-json' for a body with another Content-Type, without one, or with a Content-Encoding
 */
const checkDeclared = (event: HttpEvent): void => {
  if (!isJson(headerOf(event, 'content-type') ?? ''))
    throw new KnownError('not-json', 'The body must be JSON: Content-Type: application/json.');
  if (headerOf(event, 'content-encoding') !== undefined)
    throw new KnownError('not-json', 'The body must not be compressed: send no Content-Encoding.');
};

const isTooLarge = ({ body, isBase64Encoded }: Body): boolean => {
  if (isBase64Encoded) return Buffer.byteLength(body, 'base64') > limits.requestBytes;
  // A UTF-16 code unit takes at most three bytes of UTF-8: most bodies need no counting.
  return body.length * 3 > limits.requestBytes && Buffer.byteLength(body) > limits.requestBytes;
};

/** @throws badInput for bytes that are not UTF-8, and for text that is not JSON */
const parse = ({ body, isBase64Encoded }: Body): unknown => {
  try {
    return parseJson(isBase64Encoded ? utf8.decode(Buffer.from(body, 'base64')) : body);
  } catch {
    throw badInput([{ path: 'body', message: 'Must be well-formed JSON in UTF-8' }]);
  }
};

/** Sets `event.content` to the JSON value of the body, on routes with a body. */
export const readBody: HttpMiddleware = {
  before: ({ event }) => {
    const { contract, body, isBase64Encoded } = event;
    if (contract.request.body === undefined) return;
    if (body === undefined || body === null || body === '') {
      event.content = contract.request.bodyOptional ? {} : undefined;
      return;
    }
    checkDeclared(event);
    if (isTooLarge({ body, isBase64Encoded }))
      throw new KnownError('too-large', `The body must not be longer than ${limits.requestBytes} bytes.`);
    event.content = parse({ body, isBase64Encoded });
  },
};
