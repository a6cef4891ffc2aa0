-- Each opening of the gate begins a new range of change numbers: a position strictly between found and start may have seen
-- changes that Redis has lost. By start: the interval of a position.
ALTER TABLE epochs
  ADD COLUMN found BIGINT NULL COMMENT 'the clock of Redis before the opening',
  ADD COLUMN start BIGINT NULL COMMENT 'the clock after it',
  ADD KEY epochs_start (start, found);
