-- Sign-in looks a user up by e-mail address: unique(email). Addresses are kept in lower case.
CREATE TABLE IF NOT EXISTS users (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  email VARCHAR(254) NOT NULL,
  password VARCHAR(255) NOT NULL COMMENT 'scrypt, PHC string format',
  sign_up_key CHAR(43) NULL COMMENT 'hash of the Idempotency-Key that created it',
  created_at DATETIME(3) NOT NULL,
  UNIQUE KEY users_email (email)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
