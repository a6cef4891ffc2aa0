-- Chats whose messages are gone from MySQL and Redis, and perhaps not from the index. So a search outage delays nothing else.
ALTER TABLE chats
  ADD COLUMN unindex_at DATETIME(3) NULL COMMENT 'when to remove its messages from the index; NULL: never' AFTER erase_at,
  ADD KEY chats_unindex (unindex_at);
