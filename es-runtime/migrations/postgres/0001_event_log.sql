-- The log and what is written together with it, in a schema of its own. Texts have the collation "C": they compare by their bytes.
-- NUL and U+0001 in texts are written as U+0001 U+0001 and U+0001 U+0002, since PostgreSQL's texts hold no NUL; the order stays the same.

CREATE TABLE streams (
    stream_no bigint NOT NULL PRIMARY KEY,
    tenant    text COLLATE "C" NOT NULL, -- empty: the default tenant
    category  text COLLATE "C" NOT NULL, -- the aggregate's name
    key       text COLLATE "C" NOT NULL, -- the aggregate's id
    CONSTRAINT streams_one_number UNIQUE (tenant, category, key)
);

-- Writers take numbers for new streams in blocks.
CREATE SEQUENCE stream_numbers INCREMENT BY 1024 CACHE 1;

CREATE TABLE event_log (
    -- From `event_positions`, always behind the lock of `es_append`: a reader that waits for those who hold it skips nothing.
    position       bigint NOT NULL PRIMARY KEY,
    stream_no      bigint NOT NULL,
    version        bigint NOT NULL, -- 1, 2, 3 … in each stream
    event_id       uuid NOT NULL,
    kind           text COLLATE "C" NOT NULL, -- the event's stored name
    schema_version bigint NOT NULL,
    body           bytea NOT NULL, -- the event's fields as JSON
    meta           bytea NOT NULL, -- the commit's metadata as JSON
    at             timestamptz NOT NULL,
    -- The authority on "a version is written once".
    CONSTRAINT event_log_one_version UNIQUE (stream_no, version)
);
-- Only inserts come: without this, the visibility map is made much too late.
ALTER TABLE event_log SET (autovacuum_vacuum_insert_scale_factor = 0.02);

-- Nothing is cached: positions ascend in the order in which they are handed out.
CREATE SEQUENCE event_positions CACHE 1;

CREATE FUNCTION es_event_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'event_log is append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER event_log_is_not_updated BEFORE UPDATE OR DELETE ON event_log
    FOR EACH ROW EXECUTE FUNCTION es_event_log_is_append_only();
CREATE TRIGGER event_log_is_not_truncated BEFORE TRUNCATE ON event_log
    FOR EACH STATEMENT EXECUTE FUNCTION es_event_log_is_append_only();

-- What a command with an idempotency key did. `event_ids` holds 16 bytes an event.
CREATE TABLE command_ledger (
    tenant    text COLLATE "C" NOT NULL,
    key       text COLLATE "C" NOT NULL,
    command   text COLLATE "C" NOT NULL,
    hash      bytea NOT NULL, -- 32 bytes
    output    bytea NOT NULL, -- the handler's answer as JSON
    stream_no bigint NOT NULL,
    version   bigint NOT NULL, -- of the stream after the command
    position  bigint NOT NULL, -- of the command's last event; 0 where there is none
    event_ids bytea NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX command_ledger_at ON command_ledger (at);

-- Unique keys and the streams that hold them.
CREATE TABLE claims (
    tenant    text COLLATE "C" NOT NULL,
    set_name  text COLLATE "C" NOT NULL,
    key       text COLLATE "C" NOT NULL,
    stream_no bigint NOT NULL,
    PRIMARY KEY (tenant, set_name, key)
);

-- The newest snapshot of a stream. `fingerprint` is the shape of the state, as the signed form of its 64 bits.
CREATE TABLE snapshots (
    stream_no   bigint NOT NULL PRIMARY KEY,
    version     bigint NOT NULL,
    fingerprint bigint NOT NULL,
    state       bytea NOT NULL
);

-- Ids of other systems and the aggregate keys they stand for.
CREATE TABLE identities (
    tenant   text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    source   text COLLATE "C" NOT NULL,
    external text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, category, source, external)
);

-- The first half of the keys of this schema's advisory locks.
CREATE FUNCTION es_lock_class() RETURNS integer LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT hashtext('es.' || current_schema())
$$;

-- Begins an append in the caller's transaction: from here on readers wait for it. Gives as many positions. Positions are taken after the
-- versions that they follow on have been read: so their order agrees with the order of the versions.
CREATE FUNCTION es_reserve(events integer) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    -- Before any `nextval`. This is the whole trick.
    PERFORM pg_advisory_xact_lock_shared(es_lock_class(), 0);
    RETURN ARRAY(SELECT nextval('event_positions') FROM generate_series(1, events));
END $$;

-- Writes a group of commits: new streams, events, claims that are freed and taken, entries of the ledger, snapshots. All of it, or nothing:
-- the unique constraints refuse what does not fit. `positions` are those that were reserved in this transaction, or null. Gives the positions.
-- Rows are inserted in the order of their keys, so that two groups never wait for each other.
CREATE FUNCTION es_append(
    positions bigint[],
    new_numbers bigint[], new_tenants text[], new_categories text[], new_keys text[],
    event_streams bigint[], event_versions bigint[], event_ids uuid[], event_kinds text[], event_schemas bigint[],
    event_bodies bytea[], event_metas bytea[], event_times timestamptz[],
    freed_tenants text[], freed_sets text[], freed_keys text[], freed_streams bigint[],
    taken_tenants text[], taken_sets text[], taken_keys text[], taken_streams bigint[],
    ledger_tenants text[], ledger_keys text[], ledger_commands text[], ledger_hashes bytea[], ledger_outputs bytea[],
    ledger_streams bigint[], ledger_versions bigint[], ledger_last_events integer[], ledger_event_ids bytea[], ledger_times timestamptz[],
    snapshot_streams bigint[], snapshot_versions bigint[], snapshot_fingerprints bigint[], snapshot_states bytea[]
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF positions IS NULL THEN
        positions := es_reserve(cardinality(event_streams));
    END IF;
    IF cardinality(new_numbers) > 0 THEN
        INSERT INTO streams (stream_no, tenant, category, key)
        SELECT n.number, n.tenant, n.category, n.key
        FROM unnest(new_numbers, new_tenants, new_categories, new_keys) AS n (number, tenant, category, key)
        ORDER BY n.tenant COLLATE "C", n.category COLLATE "C", n.key COLLATE "C";
    END IF;
    IF cardinality(event_streams) > 0 THEN
        INSERT INTO event_log (position, stream_no, version, event_id, kind, schema_version, body, meta, at)
        SELECT e.position, e.stream_no, e.version, e.id, e.kind, e.schema_version, e.body, e.meta, e.at
        FROM unnest(positions, event_streams, event_versions, event_ids, event_kinds, event_schemas, event_bodies, event_metas, event_times)
            AS e (position, stream_no, version, id, kind, schema_version, body, meta, at)
        ORDER BY e.stream_no, e.version;
    END IF;
    IF cardinality(freed_keys) > 0 THEN
        DELETE FROM claims AS c USING unnest(freed_tenants, freed_sets, freed_keys, freed_streams) AS f (tenant, set_name, key, stream_no)
        WHERE c.tenant = f.tenant AND c.set_name = f.set_name AND c.key = f.key AND c.stream_no = f.stream_no;
    END IF;
    IF cardinality(taken_keys) > 0 THEN
        INSERT INTO claims (tenant, set_name, key, stream_no)
        SELECT t.tenant, t.set_name, t.key, t.stream_no
        FROM unnest(taken_tenants, taken_sets, taken_keys, taken_streams) AS t (tenant, set_name, key, stream_no)
        ORDER BY t.tenant COLLATE "C", t.set_name COLLATE "C", t.key COLLATE "C";
    END IF;
    IF cardinality(ledger_keys) > 0 THEN
        INSERT INTO command_ledger (tenant, key, command, hash, output, stream_no, version, position, event_ids, at)
        SELECT l.tenant, l.key, l.command, l.hash, l.output, l.stream_no, l.version, coalesce(positions[l.last_event], 0), l.event_ids, l.at
        FROM unnest(ledger_tenants, ledger_keys, ledger_commands, ledger_hashes, ledger_outputs, ledger_streams, ledger_versions,
            ledger_last_events, ledger_event_ids, ledger_times)
            AS l (tenant, key, command, hash, output, stream_no, version, last_event, event_ids, at)
        ORDER BY l.tenant COLLATE "C", l.key COLLATE "C";
    END IF;
    IF cardinality(snapshot_streams) > 0 THEN
        INSERT INTO snapshots (stream_no, version, fingerprint, state)
        SELECT s.stream_no, s.version, s.fingerprint, s.state
        FROM unnest(snapshot_streams, snapshot_versions, snapshot_fingerprints, snapshot_states) AS s (stream_no, version, fingerprint, state)
        ORDER BY s.stream_no
        ON CONFLICT (stream_no) DO UPDATE SET version = excluded.version, fingerprint = excluded.fingerprint, state = excluded.state;
    END IF;
    RETURN positions;
END $$;

-- Whoever is to append is granted the functions.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
END $$;
