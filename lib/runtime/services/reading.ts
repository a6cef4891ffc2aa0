import { createApplicationDirectory } from '#lib/reading/applications.ts';
import { createChangeContent } from '#lib/reading/change-content.ts';
import { createFeed } from '#lib/reading/changes.ts';
import { createChatDirectory } from '#lib/reading/chats.ts';
import { createConversation } from '#lib/reading/conversation.ts';
import { createCursors } from '#lib/reading/cursors.ts';
import { createWithoutDeleted } from '#lib/reading/deletions.ts';
import { createPasswordCheck } from '#lib/reading/password-check.ts';
import { createSearch } from '#lib/reading/search.ts';
import { createWithSenders } from '#lib/reading/senders.ts';
import { createTokenCheck } from '#lib/reading/token-check.ts';
import { createUnread } from '#lib/reading/unread.ts';
import { lazy } from '../lazy.ts';
import { keysOf, passwords } from './auth.ts';
import { applications, changes, chats, messages, readMarkers, users } from './mysql.ts';
import { messageIndex } from './opensearch.ts';
import {
  counters,
  deletedMessages,
  directory,
  generations,
  markers,
  pendingChanges,
  recentMessages,
  signInAttempts,
} from './redis.ts';

export const applicationDirectory = /* @__PURE__ */ lazy(() =>
  createApplicationDirectory({
    directory: directory(),
    counters: counters(),
    applications: applications(),
  }),
);
export const unread = /* @__PURE__ */ lazy(() =>
  createUnread({ markers: markers(), readMarkers: readMarkers() }),
);
export const chatDirectory = /* @__PURE__ */ lazy(() =>
  createChatDirectory({
    directory: directory(),
    counters: counters(),
    chats: chats(),
    applications: applications(),
    unread: unread(),
  }),
);
const withSenders = /* @__PURE__ */ lazy(() => createWithSenders({ users: users() }));
export const conversation = /* @__PURE__ */ lazy(() =>
  createConversation({
    recentMessages: recentMessages(),
    messages: messages(),
    chats: chats(),
    withSenders: withSenders(),
  }),
);
export const readFeed = /* @__PURE__ */ lazy(() =>
  createFeed({ pendingChanges: pendingChanges(), changes: changes() }),
);
export const readChangeContent = /* @__PURE__ */ lazy(() =>
  createChangeContent({
    recentMessages: recentMessages(),
    counters: counters(),
    directory: directory(),
    messages: messages(),
    chats: chats(),
    applications: applications(),
    withSenders: withSenders(),
  }),
);
export const search = /* @__PURE__ */ lazy(() =>
  createSearch({
    messageIndex: messageIndex(),
    messages: messages(),
    withoutDeleted: createWithoutDeleted({
      chats: chats(),
      counters: counters(),
      deletedMessages: deletedMessages(),
      messages: messages(),
    }),
  }),
);
export const cursors = /* @__PURE__ */ lazy(() => createCursors(keysOf('cursor')));
export const tokenCheck = /* @__PURE__ */ lazy(() =>
  createTokenCheck({ generations: generations(), users: users() }),
);
export const passwordCheck = /* @__PURE__ */ lazy(() =>
  createPasswordCheck({ users: users(), passwords: passwords(), signInAttempts: signInAttempts() }),
);
