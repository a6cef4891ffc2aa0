import { createHandle } from '#lib/auth/handles.ts';
import { createApplications } from '#lib/mysql/applications.ts';
import { createChats } from '#lib/mysql/chats.ts';
import { createLetterNotes } from '#lib/mysql/letter-notes.ts';
import { createMessages } from '#lib/mysql/messages.ts';
import { createMigrations } from '#lib/mysql/migrations.ts';
import { createRecoveryState } from '#lib/mysql/progress.ts';
import { createUsers } from '#lib/mysql/users.ts';
import { lazy } from '../lazy.ts';
import { database } from './servers.ts';

export const migrations = /* @__PURE__ */ lazy(() => createMigrations(database()));
export const users = /* @__PURE__ */ lazy(() => createUsers(database(), createHandle));
export const applications = /* @__PURE__ */ lazy(() => createApplications(database()));
export const chats = /* @__PURE__ */ lazy(() => createChats(database()));
export const messages = /* @__PURE__ */ lazy(() => createMessages(database()));
export const letterNotes = /* @__PURE__ */ lazy(() => createLetterNotes(database()));
export const recoveryState = /* @__PURE__ */ lazy(() => createRecoveryState(database()));
