-- The feed of existing applications is complete from 15 minutes on, when no function of the former version runs any more. New
-- tables have no such interval.
INSERT INTO epochs (server, begun_at, found, start)
SELECT 'before the feed', UTC_TIMESTAMP(3), -1, CAST((UNIX_TIMESTAMP(NOW(6)) + 900) * 1000000 AS SIGNED)
FROM (SELECT id FROM applications LIMIT 1) existing;
