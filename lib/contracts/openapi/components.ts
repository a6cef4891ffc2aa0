import { limits } from '#lib/domain/limits.ts';

export const securitySchemes = {
  basic: {
    type: 'http',
    scheme: 'basic',
    description: 'The e-mail address and the password of `POST /users`; for sign-in only',
  },
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description:
      'The `accessToken` of `POST /users/token`; the page at `/docs` fills it in when you sign in there',
  },
};

export const parameters = {
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description:
      'A second request of the same user with the same key within 24 hours gets the first answer and creates nothing',
    schema: { type: 'string', pattern: '^[!-~]+$', maxLength: limits.idempotencyKey },
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description: 'The `ETag` of an earlier answer. If it is still current, the answer is 304 without a body',
    schema: { type: 'string' },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    required: false,
    description:
      'The `ETag` of an earlier answer. If the item has another version now, the answer is 412 and nothing changes',
    schema: { type: 'string' },
  },
};

export const headers = {
  Link: {
    description:
      'The next page of the list, `rel="next"` (RFC 8288); absent on the last page. Lists of messages also link back, `rel="prev"`',
    schema: { type: 'string', examples: ['</applications?page=2>; rel="next"'] },
  },
  ETag: { description: 'For `If-None-Match`, and for `If-Match` of an edit', schema: { type: 'string' } },
  RateLimit: {
    description: '`r` requests remain for the next `t` seconds (draft-ietf-httpapi-ratelimit-headers)',
    schema: { type: 'string', examples: ['"writes";r=5999;t=60'] },
  },
  RateLimitPolicy: {
    description: '`q` requests are allowed in `w` seconds; absent if the limit is off',
    schema: { type: 'string', examples: ['"writes";q=6000;w=60'] },
  },
  RetryAfter: { description: 'Seconds', schema: { type: 'integer', minimum: 0, examples: [5] } },
};

export const rateLimitHeaders = {
  RateLimit: { $ref: '#/components/headers/RateLimit' },
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
};
