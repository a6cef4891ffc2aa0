-- An erased account keeps its row, for the keys of applications, chats and messages. Its address is free at once. By
-- erasing: accounts whose messages still have a name, a handle or a body.
ALTER TABLE users
  MODIFY COLUMN email VARCHAR(254) NULL COMMENT 'NULL once the account was erased',
  MODIFY COLUMN password VARCHAR(255) NULL COMMENT 'scrypt, PHC string format',
  ADD COLUMN erased_at DATETIME(3) NULL,
  ADD COLUMN erasing BOOLEAN NULL COMMENT 'NULL once nothing is left',
  ADD KEY users_erasing (erasing, erased_at);
