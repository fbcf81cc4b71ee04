-- The rules by which events claim and free keys, and the keys that are built for new rules.

-- The rules by which the program that appended the event claims keys with it; NULL: none. A trigger compares them with those in
-- `claim_rules`: it is there as soon as there are rules, and programs from before it write NULL.
ALTER TABLE event_log ADD COLUMN claims TEXT;

-- The rules of each event: a line for each rule, `claim <set> <field>` or `release <set> <field>`.
CREATE TABLE claim_rules (
    category TEXT NOT NULL, -- the aggregate's name
    kind     TEXT NOT NULL, -- the event's stored name
    rules    TEXT NOT NULL, -- those that an append has to know
    built    TEXT NOT NULL, -- those that are in force
    begun    INTEGER,       -- the log's head when the build of others than those in force began; NULL: none is in progress
    PRIMARY KEY (kind, category)
) STRICT, WITHOUT ROWID;

-- The build that is in progress: one row, or none.
CREATE TABLE claim_build (
    one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    target   TEXT    NOT NULL, -- the sets in the first line, then each event that is read, with its rules
    position INTEGER NOT NULL  -- up to where the log has been read
) STRICT;

-- The streams that hold each key of the build's sets, up to its position. A key with more than one is a duplicate.
CREATE TABLE claim_holders (
    tenant    TEXT    NOT NULL,
    set_name  TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    stream_no INTEGER NOT NULL,
    PRIMARY KEY (tenant, set_name, key, stream_no)
) STRICT, WITHOUT ROWID;
