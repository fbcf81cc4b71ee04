-- What every append does, in fewer calls inside of the server. Nothing that is stored changes.

-- A number, so that the planner puts it in the place of the call. As a question for the schema's name it was planned anew at each call.
DO $$
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION es_lock_class() RETURNS integer LANGUAGE sql IMMUTABLE AS %L',
        'SELECT ' || hashtext('es.' || current_schema()));
END $$;

-- As before. Its plan is kept, which that of a function in SQL is not.
CREATE OR REPLACE FUNCTION es_signature(listed text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT encode(sha256(convert_to(concat_ws(' ', k.key, pg_backend_pid(), extract(epoch FROM transaction_timestamp()), listed),
        'UTF8')), 'hex') FROM signing_key AS k);
END $$;

-- As before, in a loop, which is faster than a query.
CREATE OR REPLACE FUNCTION es_take_positions(events integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    taken bigint[] := '{}';
BEGIN
    -- Before any `nextval`. This is the whole trick.
    PERFORM pg_advisory_xact_lock_shared(es_lock_class(), 0);
    FOR place IN 1 .. events LOOP
        taken[place] := nextval('event_positions');
    END LOOP;
    RETURN taken;
END $$;

-- Begins an append whose events are of these kinds. Takes its lock; then, in the order of their keys, those of `lock_keys` whose version is
-- folded at present, and the locks of the versions that would miss events: those that serve, whose commits have to fold an event of the kinds,
-- and that are not among those `brought`, with the kinds they are known with. These versions follow from here on. Commits do not wait for the
-- workers of a version that they do not fold: it cannot become one that they do while they hold the append's lock.
--
-- Whoever folds one of them holds its lock: he has committed, so his positions are below those that this append takes afterwards, or he
-- has not read yet whether the version follows. The lock of appends, held alone, is what makes a version fold again: meanwhile none can.
--
-- Gives for each version that is brought, in their order: whether commits fold it, whether it has letters, its checkpoints, and a number that grows
-- with each of their epochs; and with the first one as many positions.
CREATE FUNCTION es_begin_synced(
    event_kinds text[], brought_names text[], brought_versions bigint[], brought_kinds text[], lock_keys integer[], events integer
) RETURNS TABLE (folds boolean, has_letters boolean, checkpoints bigint[], epochs bigint, positions bigint[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
-- Planned once. Arrays let the planner think that a plan for just these is cheaper, at every call. The plan does not depend on how large the tables
-- were at that time; what cannot do without reading a table would seem worth compiling.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    keys            integer[];
    missed_names    text[];
    missed_versions bigint[];
    key             integer;
    taken           bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared(es_lock_class(), 0);
    SELECT array_agg(DISTINCT f.lock_key ORDER BY f.lock_key), array_agg(f.name) FILTER (WHERE f.missed),
        array_agg(f.version) FILTER (WHERE f.missed)
    INTO keys, missed_names, missed_versions
    FROM (SELECT p.name, p.version, p.lock_key, p.lock_key = ANY(es_begin_synced.lock_keys) AS asked,
            p.kinds <> '' AND string_to_array(p.kinds, E'\n') && es_begin_synced.event_kinds
            AND NOT EXISTS (SELECT 1 FROM unnest(brought_names, brought_versions, brought_kinds) AS b (name, version, kinds)
                WHERE b.name = p.name AND b.version = p.version AND b.kinds = p.kinds) AS missed
        FROM projections AS p WHERE p.state = 'active' AND p.followed_at IS NULL) AS f
    WHERE f.asked OR f.missed;
    IF keys IS NOT NULL THEN
        FOREACH key IN ARRAY keys LOOP
            PERFORM pg_advisory_xact_lock(es_lock_class(), key);
        END LOOP;
    END IF;
    IF missed_names IS NOT NULL THEN
        UPDATE projections AS p SET followed_at = clock_timestamp()
        FROM unnest(missed_names, missed_versions) AS m (name, version)
        WHERE p.name = m.name AND p.version = m.version AND p.followed_at IS NULL;
    END IF;
    IF cardinality(brought_names) = 0 THEN
        RETURN;
    END IF;
    IF events > 0 THEN
        taken := es_reserve(events);
    END IF;
    RETURN QUERY SELECT
        EXISTS (SELECT 1 FROM projections AS p WHERE p.name = e.name AND p.version = e.version AND p.state = 'active'
            AND p.followed_at IS NULL AND p.kinds = e.kinds),
        EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.name = e.name AND d.version = e.version),
        c.positions, c.epochs,
        CASE WHEN e.place = 1 THEN taken END
    FROM unnest(brought_names, brought_versions, brought_kinds) WITH ORDINALITY AS e (name, version, kinds, place)
    CROSS JOIN LATERAL (SELECT coalesce(array_agg(s.position ORDER BY s.partition), '{}') AS positions,
        coalesce(sum(s.epoch), 0)::bigint AS epochs
        FROM subscriptions AS s WHERE s.name = e.name AND s.version = e.version) AS c
    ORDER BY e.place;
END $$;

-- As before: for programs that begin so.
CREATE OR REPLACE FUNCTION es_begin_append(
    event_kinds text[], brought_names text[], brought_versions bigint[], brought_kinds text[], lock_keys integer[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM es_begin_synced(event_kinds, brought_names, brought_versions, brought_kinds, lock_keys, 0);
END $$;

-- As before. Whether an append is refused, or makes versions follow, is one look; only then it is asked which.
CREATE OR REPLACE FUNCTION es_append_claiming(
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
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    has_begun boolean := coalesce(current_setting('es.reserved', true), '') <> '';
BEGIN
    -- Rules change, and versions are folded again, behind this lock, held alone: what is seen behind it holds until the append is over.
    PERFORM pg_advisory_xact_lock_shared(es_lock_class(), 0);
    IF EXISTS (SELECT 1 FROM unnest(rule_categories, rule_kinds, rule_texts) AS d (category, kind, rules)
            LEFT JOIN claim_rules AS r ON r.category = d.category AND r.kind = d.kind WHERE coalesce(r.rules, '') <> d.rules)
        OR NOT has_begun AND EXISTS (SELECT 1 FROM projections AS p
            WHERE p.followed_at IS NULL AND p.kinds <> '' AND p.state = 'active' AND string_to_array(p.kinds, E'\n')
            && ARRAY(SELECT e.category || ' ' || e.kind FROM unnest(rule_categories, rule_kinds) AS e (category, kind)))
    THEN
        PERFORM es_check_claims(rule_categories, rule_kinds, rule_texts);
    END IF;
    RETURN es_append_unchecked(positions, new_numbers, new_tenants, new_categories, new_keys,
        event_streams, event_versions, event_ids, event_kinds, event_schemas, event_bodies, event_metas, event_times,
        freed_tenants, freed_sets, freed_keys, freed_streams, taken_tenants, taken_sets, taken_keys, taken_streams,
        ledger_tenants, ledger_keys, ledger_commands, ledger_hashes, ledger_outputs, ledger_streams, ledger_versions, ledger_last_events,
        ledger_event_ids, ledger_times, snapshot_streams, snapshot_versions, snapshot_fingerprints, snapshot_states);
END $$;

-- Only the two functions that append call it, with their rights and their path. It reads tables that grow: each plan is for what they are then.
ALTER FUNCTION es_append_unchecked SECURITY INVOKER RESET ALL;
ALTER FUNCTION es_append_unchecked SET plan_cache_mode = auto;

-- Whoever may append may begin to.
DO $$
DECLARE
    allowed record;
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
    FOR allowed IN
        SELECT a.grantee::regrole::text AS role FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(p.proacl) AS a
        WHERE p.oid = 'es_reserve'::regproc AND a.grantee <> 0 AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION es_begin_synced TO %s', allowed.role);
    END LOOP;
END $$;
