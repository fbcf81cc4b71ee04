-- Read models and those who follow the log. The read models' own tables are made when their projection is registered: `<table>_v<version>`,
-- and a view `<table>` of the version that serves.

-- Every version of every projection.
CREATE TABLE projections (
    name        text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    state       text NOT NULL CHECK (state IN ('building', 'active', 'retired')),
    table_name  text COLLATE "C" NOT NULL, -- the read model's; empty where the version has none of ours
    table_shape text COLLATE "C" NOT NULL, -- its columns, a line each
    partitions  bigint NOT NULL,
    PRIMARY KEY (name, version)
);

-- Where each partition of each version stands.
CREATE TABLE subscriptions (
    name       text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    partition  bigint NOT NULL, -- from 0
    position   bigint NOT NULL, -- the checkpoint: the last position that is done
    epoch      bigint NOT NULL, -- of the lease: grows with each owner and with each reset
    owner      uuid,            -- the process that runs it
    status     text NOT NULL CHECK (status IN ('running', 'paused', 'stopped')),
    reason     text COLLATE "C", -- why it stopped
    stopped_at timestamptz,
    PRIMARY KEY (name, version, partition)
) WITH (fillfactor = 50); -- room for the updates of checkpoints on the same page

-- Processes that run partitions.
CREATE TABLE processes (
    process   uuid NOT NULL PRIMARY KEY,
    heartbeat timestamptz NOT NULL, -- when it last asked for partitions, by the server's clock
    timeout   interval NOT NULL,    -- how long that holds
    wanted    text COLLATE "C" NOT NULL -- the partitions it can run, as JSON: [name, version, partition]
) WITH (fillfactor = 50);

-- Events that were put aside, one row for each sequence key of an event.
CREATE TABLE dead_letters (
    name      text COLLATE "C" NOT NULL,
    version   bigint NOT NULL,
    key       text COLLATE "C" NOT NULL, -- the sequence key
    position  bigint NOT NULL, -- of the event
    partition bigint NOT NULL,
    tenant    text COLLATE "C" NOT NULL, -- of the event's stream, as the two below
    category  text COLLATE "C" NOT NULL,
    stream    text COLLATE "C" NOT NULL,
    event_id  uuid NOT NULL,
    cause     text COLLATE "C", -- null: it waits behind another
    attempts  bigint NOT NULL,
    at        timestamptz NOT NULL,
    touched   timestamptz NOT NULL, -- when it was last tried
    PRIMARY KEY (name, version, key, position, partition)
);
CREATE INDEX dead_letters_position ON dead_letters (name, version, position);
CREATE INDEX dead_letters_stream ON dead_letters (name, version, tenant, category, stream);

-- How far commits have folded streams themselves, ahead of the checkpoint. A row goes once every checkpoint of its version has passed it.
CREATE TABLE watermarks (
    name           text COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    stream_no      bigint NOT NULL,
    stream_version bigint NOT NULL,
    position       bigint NOT NULL,
    PRIMARY KEY (name, version, stream_no)
) WITH (fillfactor = 50);
-- The position comes first, so that nobody who knows the stream takes this index for the key while there are no statistics yet.
CREATE INDEX watermarks_position ON watermarks (position, name, version);

-- While functions of the user's run on the connection of a transaction, a row stands here that refers to nothing. Should one of them commit the
-- transaction, the server refuses that. Nobody ever sees a row of either table.
CREATE TABLE nothing (
    id integer NOT NULL PRIMARY KEY
);
CREATE TABLE running_functions (
    nothing integer NOT NULL CONSTRAINT a_projection_may_not_end_its_transaction
        REFERENCES nothing (id) DEFERRABLE INITIALLY DEFERRED
);
