-- Dead letters that were published: a redelivery of their command publishes no second copy. Rows are kept for a week.
CREATE TABLE IF NOT EXISTS dead_letters (
  digest CHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY COMMENT 'of queue, id, content and redrive',
  published_at DATETIME(3) NOT NULL,
  KEY dead_letters_published (published_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
