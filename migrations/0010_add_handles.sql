-- A handle names a user to other users. Rows from before this column get theirs by `migrate`, or at their first use.
ALTER TABLE users
  ADD COLUMN handle CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'random, never given again' AFTER email,
  ADD UNIQUE KEY users_handle (handle);
