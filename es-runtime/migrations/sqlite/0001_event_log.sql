-- The log and what is written together with it. Times are microseconds since 1970, UTC.

CREATE TABLE streams (
    stream_no INTEGER PRIMARY KEY,
    tenant    TEXT NOT NULL, -- empty: the default tenant
    category  TEXT NOT NULL, -- the aggregate's name
    key       TEXT NOT NULL, -- the aggregate's id
    UNIQUE (tenant, category, key)
) STRICT;

CREATE TABLE event_log (
    -- The rowid: greatest + 1 inside the only write transaction. So positions follow the order of commits, without gaps.
    position       INTEGER PRIMARY KEY,
    stream_no      INTEGER NOT NULL,
    version        INTEGER NOT NULL, -- 1, 2, 3 … in each stream
    event_id       BLOB    NOT NULL, -- 16 bytes
    kind           TEXT    NOT NULL, -- the event's stored name
    schema_version INTEGER NOT NULL,
    body           BLOB    NOT NULL, -- the event's fields as JSON
    meta           BLOB    NOT NULL, -- the commit's metadata as JSON
    at             INTEGER NOT NULL
) STRICT;

-- The authority on "a version is written once".
CREATE UNIQUE INDEX event_log_one_version ON event_log (stream_no, version);

CREATE TRIGGER event_log_is_not_updated BEFORE UPDATE ON event_log
BEGIN
    SELECT RAISE(ABORT, 'event_log is append-only');
END;

CREATE TRIGGER event_log_is_not_deleted BEFORE DELETE ON event_log
BEGIN
    SELECT RAISE(ABORT, 'event_log is append-only');
END;

-- What a command with an idempotency key did. `event_ids` holds 16 bytes an event.
CREATE TABLE command_ledger (
    tenant    TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    command   TEXT    NOT NULL,
    hash      BLOB    NOT NULL, -- 32 bytes
    output    BLOB    NOT NULL, -- the handler's answer as JSON
    stream_no INTEGER NOT NULL,
    version   INTEGER NOT NULL, -- of the stream after the command
    position  INTEGER NOT NULL, -- of the command's last event; 0 where there is none
    event_ids BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX command_ledger_at ON command_ledger (at);

-- Unique keys and the streams that hold them.
CREATE TABLE claims (
    tenant    TEXT    NOT NULL,
    set_name  TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    stream_no INTEGER NOT NULL,
    PRIMARY KEY (tenant, set_name, key)
) STRICT, WITHOUT ROWID;

-- The newest snapshot of a stream. `fingerprint` is the shape of the state, as the signed form of its 64 bits.
CREATE TABLE snapshots (
    stream_no   INTEGER PRIMARY KEY,
    version     INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    state       BLOB    NOT NULL
) STRICT;

-- Ids of other systems and the aggregate keys they stand for.
CREATE TABLE identities (
    tenant   TEXT NOT NULL,
    category TEXT NOT NULL,
    source   TEXT NOT NULL,
    external TEXT NOT NULL,
    key      TEXT NOT NULL,
    PRIMARY KEY (tenant, category, source, external)
) STRICT, WITHOUT ROWID;
