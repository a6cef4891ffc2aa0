-- The sender's handle, so that pages need no join. NULL in rows from before this column: readers take it from the creator,
-- and nothing fills them in. An instant change: it locks no row and copies nothing.
ALTER TABLE messages
  ADD COLUMN sender CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'the handle of the creator' AFTER creator_id,
  ALGORITHM = INSTANT;
