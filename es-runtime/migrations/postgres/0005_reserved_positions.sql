-- An append takes positions that its own transaction has reserved, or new ones: any other one may lie behind readers, or at the end of all numbers.

-- With it the owner's functions sign what they reserve. Nobody else reads it.
CREATE TABLE signing_key (
    key text NOT NULL
);
INSERT INTO signing_key (key) VALUES (gen_random_uuid()::text || gen_random_uuid()::text);

-- Signs a list of positions that this transaction has reserved. A session has no two transactions that begin at the same microsecond. The
-- transaction's id would be simpler, but asking for it takes one, long before anything is written.
CREATE FUNCTION es_signature(listed text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(concat_ws(' ', (SELECT k.key FROM signing_key AS k), pg_backend_pid(),
        extract(epoch FROM transaction_timestamp()), listed), 'UTF8')), 'hex')
$$;

-- Takes positions. Nobody but the functions below calls it.
CREATE FUNCTION es_take_positions(events integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
BEGIN
    -- Before any `nextval`. This is the whole trick.
    PERFORM pg_advisory_xact_lock_shared(es_lock_class(), 0);
    RETURN ARRAY(SELECT nextval('event_positions') FROM generate_series(1, events));
END $$;

-- Begins an append in the caller's transaction: from here on readers wait for it. Gives as many positions. Positions are taken after the
-- versions that they follow on have been read: so their order agrees with the order of the versions.
CREATE OR REPLACE FUNCTION es_reserve(events integer) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    taken  bigint[] := es_take_positions(events);
    listed text     := array_to_string(taken, ',');
BEGIN
    IF events > 0 THEN
        -- The transaction remembers them; the signature keeps others from being put there.
        PERFORM set_config('es.reserved', listed || ';' || es_signature(listed), true);
    END IF;
    RETURN taken;
END $$;

-- As before, but for the check of the positions at its beginning.
CREATE OR REPLACE FUNCTION es_append_unchecked(
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
DECLARE
    reserved text;
BEGIN
    IF positions IS NULL THEN
        positions := es_take_positions(cardinality(event_streams));
    ELSIF cardinality(positions) > 0 THEN
        reserved := coalesce(current_setting('es.reserved', true), '');
        IF split_part(reserved, ';', 2) IS DISTINCT FROM es_signature(split_part(reserved, ';', 1))
            OR NOT positions <@ string_to_array(split_part(reserved, ';', 1), ',')::bigint[]
        THEN
            RAISE EXCEPTION 'this transaction has not reserved the positions %', positions USING ERRCODE = 'invalid_parameter_value';
        END IF;
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

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
END $$;
