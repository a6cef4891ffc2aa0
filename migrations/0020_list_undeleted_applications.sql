-- By creator: a page of the user's applications, newest first, without the deleted ones.
ALTER TABLE applications ADD KEY applications_listed (creator_id, deleted_at, id);
