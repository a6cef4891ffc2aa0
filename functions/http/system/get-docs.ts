import { getDocs as contract, getRoot } from '#lib/contracts/http/system.ts';
import { createDocsPage } from '#lib/http/docs/page.ts';
import { pageResponse } from '#lib/http/docs/page-response.ts';
import { publicHandler } from '#lib/http/public-handler.ts';
import { lazy } from '#lib/runtime/lazy.ts';

const page = lazy(createDocsPage);

export const getDocs = () => page().html;

export const handler = publicHandler([contract, getRoot], getDocs, {}, pageResponse(page));
