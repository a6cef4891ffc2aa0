import { type HttpEvent, type HttpMiddleware, headerOf } from './middleware.ts';

/** An entity tag that compares strongly (RFC 9110, 8.8.3), or a weak one, which never matches. */
const entityTags = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/g;
/** Tags of items begin with the version. */
const versionOf = (tag: string): number[] => {
  const [, version] = /^([1-9]\d{0,15})-/.exec(tag) ?? [];
  return version === undefined ? [] : [Number(version)];
};

/** @returns the versions that may be edited; undefined if any may */
const expectedOf = (event: HttpEvent): number[] | undefined => {
  if (headerOf(event, 'if-none-match')?.trim() === '*') return [];
  const ifMatch = headerOf(event, 'if-match')?.trim();
  if (ifMatch === undefined || ifMatch === '*') return undefined;
  return [...ifMatch.matchAll(entityTags)].flatMap(([, weak, tag = '']) =>
    weak === undefined ? versionOf(tag) : [],
  );
};

/**
 * Sets `event.expected` from `If-Match` and `If-None-Match: *` (RFC 9110, 13.1), on routes that edit an item with a
 * version. The write itself compares the versions.
 */
export const preconditions: HttpMiddleware = {
  before: ({ event }) => {
    if (!event.contract.errors.includes('precondition-failed')) return;
    const expected = expectedOf(event);
    if (expected !== undefined) event.expected = expected;
  },
};
