const AT_MS = Date.parse('2026-01-01T00:00:00.123Z');

/** The fields that identify a creation, as its consumer reads them. */
export const created = (commandId: number, createdAtMs = AT_MS) => ({
  createdAtMs,
  commandId,
  version: commandId,
});

/** The fields that identify an edit, as its consumer reads them. */
export const edited = (commandId: number, editedAtMs = AT_MS) => ({
  editedAtMs,
  commandId,
  version: commandId,
});
