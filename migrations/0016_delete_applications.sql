-- A deleted application keeps its row, without a name, so that its token is never given again.
ALTER TABLE applications
  ADD COLUMN deleted_at DATETIME(3) NULL AFTER updated_at,
  ADD COLUMN erase_at DATETIME(3) NULL COMMENT 'when to remove what is left of it; NULL: never' AFTER deleted_at,
  ADD KEY applications_erase (erase_at);
