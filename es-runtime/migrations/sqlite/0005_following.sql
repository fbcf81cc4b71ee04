-- Synchronous projections whose rows are shared by streams: what their commits have to fold, and whether only workers write their rows.

-- The kinds of events that a commit has to fold, a line `<category> <event>` each; empty where streams share no rows.
ALTER TABLE projections ADD COLUMN kinds TEXT NOT NULL DEFAULT '';
-- Since when only workers write the rows, because a commit left an event to them; NULL: commits fold what they append.
ALTER TABLE projections ADD COLUMN followed_at INTEGER;
