-- By token: every look-up. By creator and id: a user's own applications, newest first.
CREATE TABLE IF NOT EXISTS applications (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  token VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(100) NOT NULL,
  chats_count INT UNSIGNED NOT NULL DEFAULT 0,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  creator_id BIGINT UNSIGNED NOT NULL,
  command_id BIGINT UNSIGNED NOT NULL COMMENT 'the command that created it',
  version BIGINT UNSIGNED NOT NULL COMMENT 'the newest command applied to it',
  UNIQUE KEY applications_token (token),
  KEY applications_creator (creator_id, id),
  CONSTRAINT applications_creator FOREIGN KEY (creator_id) REFERENCES users (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
