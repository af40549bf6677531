-- The ways in. Each is SECURITY DEFINER with a fixed search path, closed to PUBLIC, and granted
-- to named logins in 0001_grants.sql. None of them takes a time.

CREATE FUNCTION audit.append(rows jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- A plan that was made while the tables were small must not scan them when they have grown.
SET enable_seqscan = off
AS $body$
#variable_conflict use_column
DECLARE
    -- An id's own time is within a day of the moment it was appended, so an earlier entry of
    -- the same id lies within two. The bounds let the planner leave out the other partitions.
    earliest constant timestamptz := clock_timestamp() - interval '49 hours';
    latest   constant timestamptz := clock_timestamp() + interval '49 hours';
    answer   jsonb;
    wrong    text;
    total    bigint;
    distinct_ids bigint;
BEGIN
    WITH given AS MATERIALIZED (
        SELECT r.n, r.line1, r.effect, r."check", r.code, r.settled, r.wrap, r.payload, l.*,
               /* time */ clock_timestamp() /* time */ AS at
        FROM ROWS FROM (jsonb_to_recordset(rows) AS (
                 line1 text, effect text, "check" text, code text,
                 settled jsonb, wrap jsonb, payload jsonb))
             WITH ORDINALITY AS r (line1, effect, "check", code, settled, wrap, payload, n)
        LEFT JOIN LATERAL jsonb_to_record(r.line1::jsonb) AS l (
                 id uuid, version int, kind text, agent text, "user" text, gateway text,
                 actor text, tool text, resource text, tier text, session text, parent uuid,
                 mode text, asked jsonb, judged jsonb) ON true
    ), weighed AS MATERIALIZED (
        SELECT g.*,
               to_char(g.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at_text,
               CASE
               WHEN num_nulls(g.id, g.kind, g.agent, g."user", g.gateway, g.actor, g.tool,
                              g.resource, g.tier, g.session, g.mode, g.version) > 0
                   THEN 'line 1 lacks a column'
               WHEN jsonb_typeof(g.asked) IS DISTINCT FROM 'object'
                 OR jsonb_typeof(g.judged) IS DISTINCT FROM 'object'
                   THEN 'line 1 lacks asked or judged'
               WHEN num_nulls(g.effect, g."check", g.code) > 0
                 OR jsonb_typeof(g.settled) IS DISTINCT FROM 'object'
                   THEN 'effect, check, code or settled is missing'
               WHEN g.version <> 1 THEN 'the version is not 1'
               WHEN strpos(g.line1, chr(10)) > 0 THEN 'line 1 holds a line break'
               WHEN substr(g.id::text, 15, 1) <> '7' OR strpos('89ab', substr(g.id::text, 20, 1)) = 0
                   THEN 'the id is not a UUID of version 7'
               WHEN abs(extract(epoch FROM g.at) - ('x' || translate(substr(g.id::text, 1, 13),
                        '-', ''))::bit(48)::bigint / 1000.0) > 86400
                   THEN 'the time in the id is more than a day from now'
               WHEN (SELECT p.at FROM audit.record AS p
                     WHERE p.id = g.id AND p.at BETWEEN earliest AND latest LIMIT 1) IS NOT NULL
                   THEN 'the id exists already'
               WHEN jsonb_typeof(g.payload) = 'array' AND jsonb_array_length(g.payload) > 0
                    AND jsonb_typeof(g.wrap) IS DISTINCT FROM 'object'
                   THEN 'a payload came without its wrapped key'
               END AS fault
        FROM given AS g
    ), lines AS MATERIALIZED (
        SELECT w.*,
               convert_to(w.line1 || chr(10) || jsonb_build_object(
                   'at', w.at_text, 'effect', w.effect, 'check', w."check", 'code', w.code,
                   'settled', w.settled)::text, 'UTF8') AS body
        FROM weighed AS w WHERE w.fault IS NULL
    ), kept AS (
        INSERT INTO audit.record (id, at, xid, version, kind, agent, "user", gateway, actor, tool,
                                  resource, effect, "check", code, tier, session, parent, mode,
                                  body, leaf)
        SELECT id, at, pg_current_xact_id(), version, kind, agent, "user", gateway, actor, tool,
               resource, effect, "check", code, tier, session, parent, mode,
               body, sha256(decode('00', 'hex') || body)
        FROM lines ORDER BY n
    ), sealed AS (
        INSERT INTO audit.payload (record, at, field, nonce, sealed)
        SELECT l.id, l.at, p.field, decode(p.nonce, 'hex'), decode(p.sealed, 'hex')
        FROM lines AS l
        CROSS JOIN LATERAL jsonb_to_recordset(
            CASE WHEN jsonb_typeof(l.payload) = 'array' THEN l.payload ELSE '[]'::jsonb END
        ) AS p (field text, nonce text, sealed text)
    ), wrapped AS (
        INSERT INTO audit.wrap (record, at, holder, key)
        SELECT id, at, wrap ->> 'holder', decode(wrap ->> 'key', 'hex')
        FROM lines WHERE jsonb_typeof(wrap) = 'object'
    )
    SELECT jsonb_agg(jsonb_build_object('id', id, 'at', at_text) ORDER BY n),
           min(fault), count(*), count(DISTINCT id)
    INTO answer, wrong, total, distinct_ids
    FROM weighed;

    IF wrong IS NULL AND distinct_ids <> total THEN
        wrong := 'the id exists already';
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'Not recorded: %.', wrong USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN coalesce(answer, '[]'::jsonb);
END
$body$;

CREATE FUNCTION audit.keep_holder(name text, wrapped bytea) RETURNS bytea
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO audit.holder (holder, key) VALUES (name, wrapped) ON CONFLICT DO NOTHING;
    RETURN (SELECT h.key FROM audit.holder AS h WHERE h.holder = name);
END
$body$;

CREATE FUNCTION audit.keep_slice(content bytea) RETURNS bytea
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    computed constant bytea := sha256(keep_slice.content);
BEGIN
    -- Looked for first: nearly always it is there, and then nothing is locked or written.
    IF NOT EXISTS (SELECT FROM audit.slice AS s WHERE s.digest = computed) THEN
        INSERT INTO audit.slice (digest, content) VALUES (computed, keep_slice.content)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN computed;
END
$body$;

CREATE FUNCTION audit.set_mark(name text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF set_mark.name IS DISTINCT FROM 'first_policy' THEN
        RAISE EXCEPTION 'The mark % cannot be set this way.', set_mark.name
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit.mark (name) VALUES (set_mark.name) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$body$;

-- Made aside and then attached: attaching lets appends and long exports go on.
CREATE FUNCTION audit.make_partition(month date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $body$
DECLARE
    first  constant timestamptz := date_trunc('month', month::timestamptz);
    parent text;
    leaf   text;
    made   boolean := false;
BEGIN
    FOREACH parent IN ARRAY ARRAY['record', 'payload', 'wrap'] LOOP
        leaf := parent || to_char(first, '"_"YYYY"_"MM');
        CONTINUE WHEN to_regclass('audit.' || leaf) IS NOT NULL;
        EXECUTE format('CREATE TABLE audit.%I (LIKE audit.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       leaf, parent);
        EXECUTE format('ALTER TABLE audit.%I ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)',
                       parent, leaf, first, first + interval '1 month');
        -- Row triggers come with the attachment, the one against TRUNCATE never does.
        EXECUTE format('ALTER TABLE audit.%I ENABLE ALWAYS TRIGGER no_change', leaf);
        PERFORM audit.protect(format('audit.%I', leaf)::regclass);
        made := true;
    END LOOP;
    RETURN made;
END
$body$;

CREATE FUNCTION audit.make_next_partition(months int DEFAULT 3) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' SET timezone = 'UTC' AS $body$
DECLARE
    made int := 0;
BEGIN
    IF months IS NULL OR months NOT BETWEEN 0 AND 24 THEN
        RAISE EXCEPTION 'Partitions are made for at most 24 months ahead, not for %.', months
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Two callers at once would make the same table.
    PERFORM pg_advisory_xact_lock(hashtext('audit.make_next_partition'));
    FOR ahead IN 0 .. months LOOP
        made := made + audit.make_partition(
            (date_trunc('month', clock_timestamp()) + make_interval(months => ahead))::date)::int;
    END LOOP;
    RETURN made;
END
$body$;

SELECT audit.make_next_partition(3);
