-- Numbers of creations that are deferred or dead: given, but in no other table. An application has chat_number 0 and
-- number 0, a chat has number 0. By counter: the highest number given. By command: releasing. By id: pages.
CREATE TABLE IF NOT EXISTS reservations (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  token VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  chat_number INT UNSIGNED NOT NULL DEFAULT 0,
  number INT UNSIGNED NOT NULL DEFAULT 0,
  command_id BIGINT UNSIGNED NOT NULL,
  UNIQUE KEY reservations_number (token, chat_number, number, command_id),
  KEY reservations_command (command_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
