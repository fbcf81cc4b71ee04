-- The rules by which events claim and free keys, and the keys that are built for new rules.

-- The rules of each event: a line for each rule, `claim <set> <field>` or `release <set> <field>`.
CREATE TABLE claim_rules (
    category text COLLATE "C" NOT NULL, -- the aggregate's name
    kind     text COLLATE "C" NOT NULL, -- the event's stored name
    rules    text COLLATE "C" NOT NULL, -- those that an append has to know
    built    text COLLATE "C" NOT NULL, -- those that are in force
    begun    bigint,                    -- the log's head when the build of others than those in force began; null: none is in progress
    PRIMARY KEY (category, kind)
);

-- The build that is in progress: one row, or none.
CREATE TABLE claim_build (
    one      integer NOT NULL PRIMARY KEY CHECK (one = 1),
    target   text COLLATE "C" NOT NULL, -- the sets in the first line, then each event that is read, with its rules
    position bigint NOT NULL            -- up to where the log has been read
);

-- The streams that hold each key of the build's sets, up to its position. A key with more than one is a duplicate.
CREATE TABLE claim_holders (
    tenant    text COLLATE "C" NOT NULL,
    set_name  text COLLATE "C" NOT NULL,
    key       text COLLATE "C" NOT NULL,
    stream_no bigint NOT NULL,
    PRIMARY KEY (tenant, set_name, key, stream_no)
);

-- Appending as it was: it compares no rules, so nobody but the two functions below calls it.
ALTER FUNCTION es_append RENAME TO es_append_unchecked;

-- Refuses an append by a program whose rules for an event are not those that are stored.
CREATE FUNCTION es_check_claims(categories text[], kinds text[], declared text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    differing record;
BEGIN
    -- Rules change behind this lock, held alone: what is compared behind it holds until the append is over.
    PERFORM es_reserve(0);
    SELECT d.category, d.kind, d.rules, coalesce(r.rules, '') AS stored INTO differing
    FROM unnest(categories, kinds, declared) AS d (category, kind, rules)
    LEFT JOIN claim_rules AS r ON r.category = d.category AND r.kind = d.kind
    WHERE coalesce(r.rules, '') <> d.rules
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the program claims other keys with event % than the store knows', differing.kind
            USING ERRCODE = 'ES001', TABLE = differing.category, COLUMN = differing.kind, DETAIL = differing.stored, HINT = differing.rules;
    END IF;
END $$;

-- For programs from before there were rules: they know none.
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
    PERFORM es_reserve(0);
    PERFORM es_check_claims(array_agg(k.category), array_agg(k.kind), array_agg(''::text)) FROM (
        SELECT DISTINCT coalesce(s.category, n.category) AS category, e.kind
        FROM unnest(event_streams, event_kinds) AS e (stream_no, kind)
        LEFT JOIN streams AS s ON s.stream_no = e.stream_no
        LEFT JOIN unnest(new_numbers, new_categories) AS n (stream_no, category) ON n.stream_no = e.stream_no
    ) AS k;
    RETURN es_append_unchecked(positions, new_numbers, new_tenants, new_categories, new_keys,
        event_streams, event_versions, event_ids, event_kinds, event_schemas, event_bodies, event_metas, event_times,
        freed_tenants, freed_sets, freed_keys, freed_streams, taken_tenants, taken_sets, taken_keys, taken_streams,
        ledger_tenants, ledger_keys, ledger_commands, ledger_hashes, ledger_outputs, ledger_streams, ledger_versions, ledger_last_events,
        ledger_event_ids, ledger_times, snapshot_streams, snapshot_versions, snapshot_fingerprints, snapshot_states);
END $$;

-- Appends a group of commits, as `es_append_unchecked` does. `rule_*` are the events of the group, each once, and the rules that the program
-- knows for them; empty where it knows none.
CREATE FUNCTION es_append_claiming(
    rule_categories text[], rule_kinds text[], rule_texts text[],
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
    PERFORM es_check_claims(rule_categories, rule_kinds, rule_texts);
    RETURN es_append_unchecked(positions, new_numbers, new_tenants, new_categories, new_keys,
        event_streams, event_versions, event_ids, event_kinds, event_schemas, event_bodies, event_metas, event_times,
        freed_tenants, freed_sets, freed_keys, freed_streams, taken_tenants, taken_sets, taken_keys, taken_streams,
        ledger_tenants, ledger_keys, ledger_commands, ledger_hashes, ledger_outputs, ledger_streams, ledger_versions, ledger_last_events,
        ledger_event_ids, ledger_times, snapshot_streams, snapshot_versions, snapshot_fingerprints, snapshot_states);
END $$;

-- Replaces the keys of sets by those that were built. Only what differs is written.
CREATE FUNCTION es_replace_claims(sets text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM claims AS c WHERE c.set_name = ANY(sets) AND NOT EXISTS (SELECT 1 FROM claim_holders AS h
        WHERE h.tenant = c.tenant AND h.set_name = c.set_name AND h.key = c.key AND h.stream_no = c.stream_no);
    INSERT INTO claims (tenant, set_name, key, stream_no)
    SELECT h.tenant, h.set_name, h.key, h.stream_no FROM claim_holders AS h WHERE h.set_name = ANY(sets)
    ORDER BY h.tenant, h.set_name, h.key
    ON CONFLICT DO NOTHING;
END $$;

-- Whoever was allowed to append may go on, and appends only where the rules are compared.
DO $$
DECLARE
    allowed record;
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
    FOR allowed IN
        SELECT a.grantee::regrole::text AS role FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(p.proacl) AS a
        WHERE p.oid = 'es_append_unchecked'::regproc AND a.grantee <> 0 AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION es_append_unchecked FROM %s', allowed.role);
        EXECUTE format('GRANT EXECUTE ON FUNCTION es_append, es_append_claiming TO %s', allowed.role);
    END LOOP;
END $$;
