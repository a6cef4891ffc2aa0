-- Deleted messages by chat and number: the number of deleted ones above a read marker.
CREATE TABLE IF NOT EXISTS message_deletions (
  chat_id BIGINT UNSIGNED NOT NULL,
  number INT UNSIGNED NOT NULL,
  PRIMARY KEY (chat_id, number)
) ENGINE = InnoDB;
