-- Synchronous projections whose rows are shared by streams: what their commits have to fold, and whether only workers write their rows.

ALTER TABLE projections
    -- The kinds of events that a commit has to fold, a line `<category> <event>` each; empty where streams share no rows.
    ADD COLUMN kinds text COLLATE "C" NOT NULL DEFAULT '',
    -- Since when only workers write the rows, because a commit left an event to them; null: commits fold what they append.
    ADD COLUMN followed_at timestamptz,
    -- The key of the projection's advisory lock, which programs compute from its name.
    ADD COLUMN lock_key integer;
UPDATE projections SET lock_key =
    (('x' || left(encode(sha256(convert_to(name, 'UTF8')), 'hex'), 8))::bit(32)::bigint & 4294967295) >> 1 | 1073741824;
ALTER TABLE projections ALTER COLUMN lock_key SET NOT NULL;

-- Begins an append whose events are of these kinds. Takes its lock; then, in the order of their keys, those of `lock_keys` whose version is
-- folded at present, and the locks of the versions that would miss events: those that serve, whose commits have to fold an event of the kinds,
-- and that are not among those `brought`, with the kinds they are known with. These versions follow from here on. Commits do not wait for the
-- workers of a version that they do not fold: it cannot become one that they do while they hold the append's lock.
--
-- Whoever folds one of them holds its lock: he has committed, so his positions are below those that this append takes afterwards, or he
-- has not read yet whether the version follows. The lock of appends, held alone, is what makes a version fold again: meanwhile none can.
CREATE FUNCTION es_begin_append(
    event_kinds text[], brought_names text[], brought_versions bigint[], brought_kinds text[], lock_keys integer[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    missed_names    text[];
    missed_versions bigint[];
    missed_keys     integer[];
    lock_key        integer;
BEGIN
    PERFORM es_take_positions(0);
    SELECT array_agg(p.name), array_agg(p.version), array_agg(p.lock_key) INTO missed_names, missed_versions, missed_keys
    FROM projections AS p
    WHERE p.followed_at IS NULL AND p.kinds <> '' AND p.state = 'active' AND string_to_array(p.kinds, E'\n') && event_kinds
        AND NOT EXISTS (SELECT 1 FROM unnest(brought_names, brought_versions, brought_kinds) AS b (name, version, kinds)
            WHERE b.name = p.name AND b.version = p.version AND b.kinds = p.kinds);
    FOR lock_key IN
        SELECT p.lock_key FROM projections AS p
        WHERE p.lock_key = ANY(lock_keys) AND p.state = 'active' AND p.followed_at IS NULL
        UNION SELECT m.key FROM unnest(missed_keys) AS m (key) ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(es_lock_class(), lock_key);
    END LOOP;
    IF missed_names IS NOT NULL THEN
        UPDATE projections AS p SET followed_at = clock_timestamp()
        FROM unnest(missed_names, missed_versions) AS m (name, version)
        WHERE p.name = m.name AND p.version = m.version AND p.followed_at IS NULL;
    END IF;
END $$;

-- As before; and an append that has reserved no positions begins here.
CREATE OR REPLACE FUNCTION es_check_claims(categories text[], kinds text[], declared text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    differing record;
BEGIN
    -- Rules change behind this lock, held alone: what is compared behind it holds until the append is over.
    PERFORM es_take_positions(0);
    IF coalesce(current_setting('es.reserved', true), '') = '' THEN
        PERFORM es_begin_append(ARRAY(SELECT e.category || ' ' || e.kind FROM unnest(categories, kinds) AS e (category, kind)),
            '{}', '{}', '{}', '{}');
    END IF;
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
        EXECUTE format('GRANT EXECUTE ON FUNCTION es_begin_append TO %s', allowed.role);
    END LOOP;
END $$;
