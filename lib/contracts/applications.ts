import * as z from 'zod';
import { boundedDepth, name, paging, token, tooDeep } from './fields.ts';
import { route } from './route.ts';

const application = z.object({ token: z.string(), name: z.string(), chatsCount: z.int() });

export const createApplication = route({
  function: 'createApplication',
  method: 'POST',
  path: '/applications',
  tag: 'Applications',
  summary: 'Create an application',
  authentication: 'bearer',
  request: { body: z.strictObject({ name }) },
  response: z.object({ token: z.string() }),
  creates: true,
  errors: ['bad-input', 'unavailable'],
});

export const updateApplication = route({
  function: 'updateApplication',
  method: 'PUT',
  path: '/applications/{token}',
  tag: 'Applications',
  summary: 'Rename an application',
  authentication: 'bearer',
  request: { path: z.strictObject({ token }), body: z.strictObject({ name }) },
  response: z.object({}),
  errors: ['bad-input', 'forbidden', 'not-found', 'unavailable'],
});

export const updateApplicationByBody = route({
  ...updateApplication,
  path: '/applications',
  summary: 'Rename an application, its token in the body',
  request: { body: z.strictObject({ token, name }) },
});

export const listApplications = route({
  function: 'listApplications',
  method: 'GET',
  path: '/applications',
  tag: 'Applications',
  summary: "The caller's own applications, newest first",
  authentication: 'bearer',
  request: { query: z.strictObject(paging).refine(boundedDepth, tooDeep) },
  response: z.array(application),
  list: true,
  errors: ['bad-input', 'unavailable'],
});

export const getApplication = route({
  function: 'getApplication',
  method: 'GET',
  path: '/applications/{token}',
  tag: 'Applications',
  summary: 'One application',
  authentication: 'bearer',
  request: { path: z.strictObject({ token }) },
  response: application,
  errors: ['bad-input', 'not-found', 'unavailable'],
});
