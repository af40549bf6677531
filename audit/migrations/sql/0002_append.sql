-- As before (0001_functions.sql), and the answer has the leaf of each entry, for receipts.

CREATE OR REPLACE FUNCTION audit.append(rows jsonb) RETURNS jsonb
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
    ), written AS MATERIALIZED (
        SELECT w.*,
               convert_to(w.line1 || chr(10) || jsonb_build_object(
                   'at', w.at_text, 'effect', w.effect, 'check', w."check", 'code', w.code,
                   'settled', w.settled)::text, 'UTF8') AS body
        FROM weighed AS w WHERE w.fault IS NULL
    ), lines AS MATERIALIZED (
        SELECT w.*, sha256(decode('00', 'hex') || w.body) AS leaf FROM written AS w
    ), kept AS (
        INSERT INTO audit.record (id, at, xid, version, kind, agent, "user", gateway, actor, tool,
                                  resource, effect, "check", code, tier, session, parent, mode,
                                  body, leaf)
        SELECT id, at, pg_current_xact_id(), version, kind, agent, "user", gateway, actor, tool,
               resource, effect, "check", code, tier, session, parent, mode,
               body, leaf
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
    SELECT (SELECT jsonb_agg(jsonb_build_object('id', l.id, 'at', l.at_text,
                                               'leaf', encode(l.leaf, 'hex')) ORDER BY l.n)
            FROM lines AS l),
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
