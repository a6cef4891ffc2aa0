-- By application and number: one of each number. By token and number: lists and look-ups, which know no ids.
CREATE TABLE IF NOT EXISTS chats (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  application_id BIGINT UNSIGNED NOT NULL,
  token VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  number INT UNSIGNED NOT NULL,
  title VARCHAR(200) NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  messages_count INT UNSIGNED NOT NULL DEFAULT 0,
  creator_id BIGINT UNSIGNED NOT NULL,
  command_id BIGINT UNSIGNED NOT NULL COMMENT 'the command that created it',
  UNIQUE KEY chats_application_number (application_id, number),
  KEY chats_token_number (token, number),
  KEY chats_creator (creator_id),
  CONSTRAINT chats_application FOREIGN KEY (application_id) REFERENCES applications (id),
  CONSTRAINT chats_creator FOREIGN KEY (creator_id) REFERENCES users (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
