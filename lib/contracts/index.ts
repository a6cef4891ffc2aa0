import * as applications from './applications.ts';
import * as chats from './chats.ts';
import * as messages from './messages.ts';
import type { RouteContract } from './route.ts';
import * as system from './system.ts';
import * as users from './users.ts';

const { getHealth, getOpenapi, getDocs, getRoot } = system;

/** Every route of the API, by the name of its contract. */
export const routes: Record<string, RouteContract> = {
  ...users,
  ...applications,
  ...chats,
  ...messages,
  getHealth,
  getOpenapi,
  getDocs,
  getRoot,
};
