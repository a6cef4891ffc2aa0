import * as z from 'zod';
import { name as anyName, boundedPaging, examples, token, withBoundedDepth } from '../fields.ts';
import { application } from '../items.ts';
import { route, upToHeader } from './route.ts';

const name = anyName.meta({ examples: ['Web shop'] });

export const createApplication = route({
  function: 'createApplication',
  method: 'POST',
  path: '/applications',
  tag: 'Applications',
  summary: 'Create an application',
  description: 'The token identifies the application in all other requests. It can be used at once.',
  authentication: 'bearer',
  request: { body: z.strictObject({ name }) },
  response: z
    .object({ token: z.string().meta({ examples: [examples.token] }) })
    .describe('The token of the new application'),
  creates: true,
  submits: true,
  errors: ['bad-input', 'unavailable'],
});

export const updateApplication = route({
  function: 'updateApplication',
  method: 'PUT',
  path: '/applications/{token}',
  tag: 'Applications',
  summary: 'Rename an application',
  description: 'Only the creator of the application may rename it.',
  authentication: 'bearer',
  request: { path: z.strictObject({ token }), body: z.strictObject({ name }) },
  response: z.object({}).describe('Renamed'),
  submits: true,
  errors: ['bad-input', 'forbidden', 'not-found', 'precondition-failed', 'unavailable'],
});

export const updateApplicationByBody = route({
  ...updateApplication,
  path: '/applications',
  summary: 'Rename an application, with its token in the body',
  request: { body: z.strictObject({ token, name }) },
});

export const deleteApplication = route({
  function: 'deleteApplication',
  method: 'DELETE',
  path: '/applications/{token}',
  tag: 'Applications',
  summary: 'Delete an application',
  description:
    'Only the creator of the application may delete it. From the answer on the application, its chats and their messages are not found. A deletion cannot be undone.',
  authentication: 'bearer',
  request: { path: z.strictObject({ token }) },
  response: z.object({}).describe('Deleted'),
  creates: true,
  errors: ['bad-input', 'forbidden', 'not-found', 'precondition-failed', 'unavailable'],
});

export const listApplications = route({
  function: 'listApplications',
  method: 'GET',
  path: '/applications',
  tag: 'Applications',
  summary: "The caller's own applications, newest first",
  authentication: 'bearer',
  request: { query: withBoundedDepth(z.strictObject(boundedPaging)) },
  response: z.array(application).describe('One page of the list'),
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
  responseHeaders: upToHeader,
  errors: ['bad-input', 'not-found', 'unavailable'],
});
