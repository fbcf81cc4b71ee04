-- Read models and those who follow the log. Times are microseconds since 1970, UTC. The read models' own tables are made when their
-- projection is registered: `<table>_v<version>`, and a view `<table>` of the version that serves.

-- Every version of every projection.
CREATE TABLE projections (
    name        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('building', 'active', 'retired')),
    table_name  TEXT    NOT NULL, -- the read model's; empty where the version has none of ours
    table_shape TEXT    NOT NULL, -- its columns, a line each
    partitions  INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- Where each partition of each version stands.
CREATE TABLE subscriptions (
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    partition  INTEGER NOT NULL, -- from 0
    position   INTEGER NOT NULL, -- the checkpoint: the last position that is done
    epoch      INTEGER NOT NULL, -- of the lease: grows with each owner and with each reset
    owner      TEXT,             -- the process that runs it: a UUID
    status     TEXT    NOT NULL CHECK (status IN ('running', 'paused', 'stopped')),
    reason     TEXT,             -- why it stopped
    stopped_at INTEGER,
    PRIMARY KEY (name, version, partition)
) STRICT, WITHOUT ROWID;

-- Processes that run partitions.
CREATE TABLE processes (
    process   TEXT    NOT NULL PRIMARY KEY, -- a UUID
    heartbeat INTEGER NOT NULL, -- when it last asked for partitions
    timeout   INTEGER NOT NULL, -- how many microseconds that holds
    locked    INTEGER NOT NULL, -- 1: while it lives it holds a lock on the file `<database>-process-<process>`
    wanted    TEXT    NOT NULL  -- the partitions it can run, as JSON: [name, version, partition]
) STRICT, WITHOUT ROWID;

-- Events that were put aside, one row for each sequence key of an event.
CREATE TABLE dead_letters (
    name      TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    key       TEXT    NOT NULL, -- the sequence key
    position  INTEGER NOT NULL, -- of the event
    partition INTEGER NOT NULL,
    tenant    TEXT    NOT NULL, -- of the event's stream, as the two below
    category  TEXT    NOT NULL,
    stream    TEXT    NOT NULL,
    event_id  BLOB    NOT NULL, -- 16 bytes
    cause     TEXT,             -- NULL: it waits behind another
    attempts  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    touched   INTEGER NOT NULL, -- when it was last tried
    PRIMARY KEY (name, version, key, position, partition)
) STRICT, WITHOUT ROWID;

CREATE INDEX dead_letters_position ON dead_letters (name, version, position);
CREATE INDEX dead_letters_stream ON dead_letters (name, version, tenant, category, stream);

-- How far commits have folded streams themselves, ahead of the checkpoint. A row goes once every checkpoint of its version has passed it.
CREATE TABLE watermarks (
    name           TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    stream_no      INTEGER NOT NULL,
    stream_version INTEGER NOT NULL,
    position       INTEGER NOT NULL,
    PRIMARY KEY (name, version, stream_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX watermarks_position ON watermarks (name, version, position);
