-- The same Idempotency-Key with another request is refused. The HMAC covers the whole request, the password too, so a
-- plain hash must never stand here. NULL in rows from before this column: their sign-ups cannot be repeated.
ALTER TABLE users ADD COLUMN sign_up_request CHAR(43) NULL COMMENT 'HMAC of the request that created it' AFTER sign_up_key;
