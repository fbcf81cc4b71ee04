-- Tells programs whether the server still has everything that they have seen of it.

-- One row, which a crash of the server takes away: what is unlogged is empty after a recovery, on a replica that became the primary, and on a
-- restored base backup. Only a server that was stopped in order keeps it.
CREATE UNLOGGED TABLE incarnation (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    id       uuid NOT NULL DEFAULT gen_random_uuid()
);

-- Returns the identity of the history that this server goes on with. It is another one after each start of the server, after a crash of it that was no
-- new start, and after the tables were restored from a dump: whoever knows the identity from before may have seen what is not there any more.
CREATE FUNCTION es_history() RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    found uuid := (SELECT i.id FROM incarnation AS i);
BEGIN
    IF found IS NULL THEN
        BEGIN
            INSERT INTO incarnation DEFAULT VALUES ON CONFLICT DO NOTHING;
        EXCEPTION WHEN OTHERS THEN
            -- The server takes no writes for now. It can be read all the same; once it takes them, the history is another one.
            NULL;
        END;
        found := (SELECT i.id FROM incarnation AS i);
    END IF;
    RETURN left(encode(sha256(convert_to(concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), 'incarnation'::regclass::oid, found), 'UTF8')), 'hex'), 32)::uuid;
END $$;

-- Whoever may look at the log may ask.
DO $$
DECLARE
    allowed record;
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
    FOR allowed IN
        SELECT a.grantee::regrole::text AS role FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(p.proacl) AS a
        WHERE p.oid = 'es_lock_class'::regproc AND a.grantee <> 0 AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION es_history TO %s', allowed.role);
    END LOOP;
END $$;
