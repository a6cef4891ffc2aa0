-- By chat and number: one of each number. By token, chat, time and number: the pages of a chat, read by cursor in the
-- order they are answered in. By token, chat and number: one message, and the batches of the consumers.
CREATE TABLE IF NOT EXISTS messages (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  chat_id BIGINT UNSIGNED NOT NULL,
  token VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  chat_number INT UNSIGNED NOT NULL,
  number INT UNSIGNED NOT NULL,
  body TEXT NOT NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  edited_at DATETIME(3) NULL,
  creator_id BIGINT UNSIGNED NOT NULL,
  sender_name VARCHAR(100) NOT NULL COMMENT 'as it was when the message was sent; spares a join',
  command_id BIGINT UNSIGNED NOT NULL COMMENT 'the command that created it',
  version BIGINT UNSIGNED NOT NULL COMMENT 'the newest command applied to it',
  UNIQUE KEY messages_chat_number (chat_id, number),
  KEY messages_page (token, chat_number, created_at, number),
  KEY messages_number (token, chat_number, number),
  KEY messages_creator (creator_id),
  CONSTRAINT messages_chat FOREIGN KEY (chat_id) REFERENCES chats (id),
  CONSTRAINT messages_creator FOREIGN KEY (creator_id) REFERENCES users (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
