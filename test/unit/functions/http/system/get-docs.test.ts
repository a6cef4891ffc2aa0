import { expect, it } from 'vitest';
import { getDocs } from '../../../../../functions/http/system/get-docs.ts';

it('answers a page that loads nothing from another host', () => {
  const page = getDocs();
  expect(page).toMatch(/^<!doctype html>/i);
  expect(page).not.toMatch(/<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?\/\//i);
});
