-- Functions of authorization. They run with the rights of whoever calls them.
CREATE SCHEMA authz;

-- One batch of judged requests, each `{"slices": {key: revision}, "row": {… of audit.append},
-- "now": the time it was judged at}`.
-- Answers `{"now": …, "answers": […]}` in the order of the requests: `{"stale": [keys]}` for one
-- that was judged by facts that have changed since (nothing is recorded of it), otherwise
-- `{"id", "at", "effect", "check", "code"}` as recorded.
CREATE FUNCTION authz.decide_batch(requests jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    request  jsonb;
    line     jsonb;
    stale    jsonb;
    rows     jsonb := '[]';
    answers  jsonb := '[]';
    recorded jsonb;
BEGIN
    FOR request IN
        SELECT e.value FROM jsonb_array_elements(requests) WITH ORDINALITY AS e (value, n) ORDER BY n
    LOOP
        line := request -> 'row';
        IF (line ->> 'effect') IS NULL OR (line ->> 'effect') NOT IN ('allow', 'deny', 'hold') THEN
            RAISE EXCEPTION 'Not decided: the effect is %.', coalesce(line ->> 'effect', 'missing')
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        -- A refusal may rest on no facts at all (it was busy); nothing else may.
        IF (request ? 'now' AND request -> 'slices' ? 'global') IS NOT TRUE
                AND line ->> 'effect' <> 'deny' THEN
            RAISE EXCEPTION 'Not decided: the time and the facts behind it are not named.'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        -- Each statement of a VOLATILE function sees all that was committed before it, so this
        -- is compared at the request's turn. A NULL differs from everything.
        SELECT jsonb_agg(used.key ORDER BY used.key) INTO stale
        FROM jsonb_each_text(coalesce(request -> 'slices', '{}')) AS used
        LEFT JOIN public.registry_slice AS slice ON slice.key = used.key
        WHERE (used.value::bigint = coalesce(slice.revision, 0)) IS NOT TRUE;

        -- What is bound to a time was compared with a `now` that must be now.
        IF stale IS NULL AND request ? 'now' AND (abs(extract(epoch FROM
                clock_timestamp() - (request ->> 'now')::timestamptz)) <= 5) IS NOT TRUE THEN
            stale := '["now"]';
        END IF;
        IF stale IS NOT NULL THEN
            answers := answers || jsonb_build_object('stale', stale);
            CONTINUE;
        END IF;
        -- Counters are judged here, request by request: what they refuse or hold replaces
        -- effect, check and code of `line`, what they settle goes into its `settled`.
        rows := rows || jsonb_build_array(line);
        answers := answers || jsonb_build_object(
            'effect', line ->> 'effect', 'check', line ->> 'check', 'code', line ->> 'code');
    END LOOP;

    recorded := audit.append(rows);
    IF jsonb_array_length(recorded) IS DISTINCT FROM jsonb_array_length(rows) THEN
        RAISE EXCEPTION 'Not decided: % of % were recorded.',
            jsonb_array_length(recorded), jsonb_array_length(rows);
    END IF;
    RETURN jsonb_build_object(
        'now', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'answers', (
            SELECT coalesce(jsonb_agg(
                CASE WHEN a.value ? 'stale' THEN a.value ELSE a.value || (recorded -> a.turn) END
                ORDER BY a.n), '[]')
            FROM (
                SELECT e.value, e.n,
                       (count(*) FILTER (WHERE NOT e.value ? 'stale') OVER (ORDER BY e.n) - 1)::int
                           AS turn
                FROM jsonb_array_elements(answers) WITH ORDINALITY AS e (value, n)
            ) AS a
        )
    );
END
$body$;

REVOKE ALL ON FUNCTION authz.decide_batch(jsonb) FROM PUBLIC;
GRANT USAGE ON SCHEMA authz TO muster_web, muster_worker;
GRANT EXECUTE ON FUNCTION authz.decide_batch(jsonb) TO muster_web, muster_worker;
