-- A deleted message keeps its row, with an empty body. Only a deleted one has an empty body.
ALTER TABLE messages ADD COLUMN deleted_at DATETIME(3) NULL COMMENT 'the body is empty since then' AFTER edited_at;
