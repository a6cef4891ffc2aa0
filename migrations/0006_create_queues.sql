-- One row a command queue: what its consumer has handled. Written in the transaction that stores the rows.
CREATE TABLE IF NOT EXISTS queues (
  queue VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  epoch BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of the newest barrier that passed',
  highest_id BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of the accepted commands stored, deferred or dead'
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
