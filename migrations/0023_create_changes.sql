-- The feed of an application: which change has which number. Content is read from the items themselves, so a deleted text is
-- nowhere twice. By application and number: the feed. By application, chat and number: the feed of a chat.
CREATE TABLE IF NOT EXISTS changes (
  application_id BIGINT UNSIGNED NOT NULL,
  number BIGINT UNSIGNED NOT NULL COMMENT 'the id of the command, or a later number of it',
  type ENUM (
    'application.created', 'application.updated', 'application.deleted',
    'chat.created', 'chat.updated', 'chat.deleted',
    'message.created', 'message.updated', 'message.deleted'
  ) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  chat_number INT UNSIGNED NOT NULL COMMENT '0 for a change of the application',
  message_number INT UNSIGNED NOT NULL COMMENT '0 for a change of the application or of a chat',
  PRIMARY KEY (application_id, number),
  KEY changes_chat (application_id, chat_number, number)
) ENGINE = InnoDB;
