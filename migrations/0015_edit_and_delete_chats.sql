-- A chat can be edited and deleted. Rows from before these columns have version 0: nobody has edited them. A deleted chat
-- keeps its row, without a title, so that its number is never given again. By erase_at: what is left to remove.
ALTER TABLE chats
  ADD COLUMN version BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the newest command applied to it; 0: see command_id' AFTER command_id,
  ADD COLUMN deleted_at DATETIME(3) NULL AFTER updated_at,
  ADD COLUMN erase_at DATETIME(3) NULL COMMENT 'when to remove what is left of it; NULL: never' AFTER deleted_at,
  ADD KEY chats_erase (erase_at);
