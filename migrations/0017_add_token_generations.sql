-- An access token whose generation is below its user's has ended. By generation_at: the users whose generation rose within
-- the lifetime of a token, which every opening of the gate writes to Redis again.
ALTER TABLE users
  ADD COLUMN token_generation INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'rises with a new password and with signing out',
  ADD COLUMN generation_at DATETIME(3) NULL COMMENT 'when it rose',
  ADD KEY users_generation (generation_at, id);
