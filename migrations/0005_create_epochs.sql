-- One row an attempt to open the gate of the numbers. Only the attempt with the highest number may open it.
CREATE TABLE IF NOT EXISTS epochs (
  number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  server VARCHAR(200) NOT NULL COMMENT 'identity of the Redis server that the gate is to open for',
  begun_at DATETIME(3) NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
