import * as applications from './http/applications.ts';
import * as changes from './http/changes.ts';
import * as chats from './http/chats.ts';
import * as messages from './http/messages.ts';
import type { RouteContract } from './http/route.ts';
import * as system from './http/system.ts';
import * as users from './http/users.ts';

const { getHealth, getOpenapi, getDocs, getRoot } = system;

/** Every route of the API, by the name of its contract. */
export const routes: Record<string, RouteContract> = {
  ...users,
  ...applications,
  ...chats,
  ...messages,
  ...changes,
  getHealth,
  getOpenapi,
  getDocs,
  getRoot,
};
