-- A chat can be edited. Rows from before this column have 0: nobody has edited them.
ALTER TABLE chats
  ADD COLUMN version BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the newest command applied to it; 0: see command_id' AFTER command_id;
