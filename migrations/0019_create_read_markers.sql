-- How far a user has read a chat. By user and chat: counting unread messages. By chat: removing a chat's markers.
-- Without foreign keys, so that storing markers locks no row of a busy chat.
CREATE TABLE IF NOT EXISTS read_markers (
  user_id BIGINT UNSIGNED NOT NULL,
  chat_id BIGINT UNSIGNED NOT NULL,
  number INT UNSIGNED NOT NULL COMMENT 'the highest message number that the user has read',
  PRIMARY KEY (user_id, chat_id),
  KEY read_markers_chat (chat_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
