import * as z from 'zod';
import { changeNumber, feedPaging, numberInPath, token } from '../fields.ts';
import { event } from '../items.ts';
import { route } from './route.ts';

const response = z
  .object({
    changeNumber: changeNumber.meta({
      description:
        'The next `since`: the answer has every change up to it. Good only for that and for comparing',
    }),
    more: z
      .boolean()
      .meta({ description: 'Read again at once. `items` may be empty nevertheless', examples: [false] }),
    items: z.array(event).meta({ description: 'Lowest `changeNumber` first' }),
  })
  .describe('A part of the feed');

const description =
  'Begin with the lowest `Changes-Up-To` of the lists that are shown, and repeat with the `changeNumber` of each answer. Items come with the content of the moment of reading, and those that no longer exist are left out. After 410 begin again from the lists.';

export const listChanges = route({
  function: 'listChanges',
  method: 'GET',
  path: '/applications/{token}/changes',
  tag: 'Changes',
  summary: 'What has changed in an application',
  description,
  authentication: 'bearer',
  request: { path: z.strictObject({ token }), query: z.strictObject(feedPaging) },
  response,
  errors: ['bad-input', 'not-found', 'gone', 'unavailable'],
});

export const listChatChanges = route({
  function: 'listChatChanges',
  method: 'GET',
  path: '/applications/{token}/chats/{chatNumber}/changes',
  tag: 'Changes',
  summary: 'What has changed in a chat',
  description,
  authentication: 'bearer',
  request: {
    path: z.strictObject({ token, chatNumber: numberInPath }),
    query: z.strictObject(feedPaging),
  },
  response,
  errors: ['bad-input', 'not-found', 'gone', 'unavailable'],
});
