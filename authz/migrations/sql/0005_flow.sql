-- What a run has read, and what an agent has used: raised and counted with the record.

-- Revisions (registry/migrations/sql/0002_slices.sql): a session's own, and its agent's for what
-- is carried from run to run. They are also fired from functions that look in pg_catalog alone.
CREATE FUNCTION authz_bump_session() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    PERFORM registry_bump('session:' || NEW.id);
    RETURN NULL;
END
$body$;
CREATE TRIGGER slice AFTER INSERT ON authz_flowsession
    FOR EACH ROW EXECUTE FUNCTION authz_bump_session();
CREATE TRIGGER slice_changed AFTER UPDATE ON authz_flowsession
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION authz_bump_session();

CREATE FUNCTION authz_bump_carrier() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    PERFORM registry_bump('agent:' || OLD.agent, 'agent:' || NEW.agent);
    RETURN NULL;
END
$body$;
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON authz_carried
    FOR EACH ROW EXECUTE FUNCTION authz_bump_carrier();

DO $body$
DECLARE
    fed text;
BEGIN
    FOREACH fed IN ARRAY ARRAY['authz_flowsession', 'authz_carried'] LOOP
        EXECUTE format('CREATE TRIGGER slice_emptied AFTER TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every()', fed);
    END LOOP;
END
$body$;
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON authz_toxiccombination
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_global();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON authz_toxiccombination
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every();

-- What was read only rises: no statement of any process takes it back.
CREATE FUNCTION authz_only_rises() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    tiers constant text[] := '{public,internal,confidential,restricted}';
BEGIN
    IF array_position(tiers, NEW.tier::text) < array_position(tiers, OLD.tier::text)
            OR (OLD.untrusted AND NOT NEW.untrusted)
            OR NOT (NEW.categories @> OLD.categories)
            OR (OLD.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at)
            OR (NEW.id, NEW.agent_id, NEW.is_clean)
               IS DISTINCT FROM (OLD.id, OLD.agent_id, OLD.is_clean)
    THEN
        RAISE EXCEPTION 'What the session % has read can only rise.', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$body$;
CREATE TRIGGER only_rises BEFORE UPDATE ON authz_flowsession
    FOR EACH ROW EXECUTE FUNCTION authz_only_rises();

-- Raise a run by one reading `{"tier", "untrusted", "categories", "until": {fact: instant}}`:
-- the session that it belongs to ('' for none that was opened), and what its agent carries.
CREATE FUNCTION authz.raise_run(agent text, session text, reading jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    tiers constant text[] := '{public,internal,confidential,restricted}';
    read_categories constant text[] :=
        ARRAY(SELECT jsonb_array_elements_text(reading -> 'categories'));
BEGIN
    IF array_position(tiers, reading ->> 'tier') IS NULL
            OR jsonb_typeof(reading -> 'untrusted') IS DISTINCT FROM 'boolean' THEN
        RAISE EXCEPTION 'Not decided: what was read is not named.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE public.authz_flowsession AS s
    SET tier = tiers[greatest(array_position(tiers, s.tier::text),
                              array_position(tiers, reading ->> 'tier'))],
        untrusted = s.untrusted OR (reading -> 'untrusted')::boolean,
        categories = ARRAY(SELECT DISTINCT c FROM unnest(s.categories::text[] || read_categories) AS c
                           ORDER BY c)
    WHERE s.id = raise_run.session
      AND s.agent_id = (SELECT a.id FROM public.registry_agent AS a WHERE a.slug = raise_run.agent)
      AND (array_position(tiers, s.tier::text) < array_position(tiers, reading ->> 'tier')
           OR (NOT s.untrusted AND (reading -> 'untrusted')::boolean)
           OR NOT (s.categories::text[] @> read_categories));
    INSERT INTO public.authz_carried AS kept (agent, fact, until)
    SELECT raise_run.agent, e.key, e.value::timestamptz
    FROM jsonb_each_text(coalesce(reading -> 'until', '{}')) AS e ORDER BY e.key
    ON CONFLICT ON CONSTRAINT carried_once DO UPDATE SET until = EXCLUDED.until
        WHERE kept.until < EXCLUDED.until;
END
$body$;

-- Count a call that is about to be allowed against four limits, all or none.
-- `rates` is `{"agent", "tool", "limits": {"agent": [minute, hour], "tool": [minute, hour]}}`; only
-- a tool's limit may be null. Answers `{"window", "scope", "limit", "until"}` for the first limit
-- that is used up, else `{"used": {"agent": [minute, hour], "tool": [minute, hour]}}`.
CREATE FUNCTION authz.count_call(rates jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    seconds constant bigint := floor(extract(epoch FROM clock_timestamp()));
    this_minute constant bigint := seconds / 60;
    this_hour constant bigint := seconds / 3600;
    limits constant jsonb := rates -> 'limits';
    whole public.authz_usage;
    own   public.authz_usage;
    used  bigint[];
    most  bigint[];
    n     int;
BEGIN
    SELECT * INTO STRICT whole FROM public.authz_usage AS u
    WHERE u.agent = rates ->> 'agent' AND u.tool = '' FOR UPDATE;
    SELECT * INTO STRICT own FROM public.authz_usage AS u
    WHERE u.agent = rates ->> 'agent' AND u.tool = rates ->> 'tool' FOR UPDATE;
    used := ARRAY[CASE WHEN whole.minute = this_minute THEN whole.minute_used ELSE 0 END,
                  CASE WHEN whole.hour = this_hour THEN whole.hour_used ELSE 0 END,
                  CASE WHEN own.minute = this_minute THEN own.minute_used ELSE 0 END,
                  CASE WHEN own.hour = this_hour THEN own.hour_used ELSE 0 END];
    most := ARRAY[(limits -> 'agent' ->> 0)::bigint, (limits -> 'agent' ->> 1)::bigint,
                  (limits -> 'tool' ->> 0)::bigint, (limits -> 'tool' ->> 1)::bigint];
    IF most[1] IS NULL OR most[2] IS NULL OR jsonb_typeof(limits -> 'tool') IS DISTINCT FROM 'array'
    THEN
        RAISE EXCEPTION 'Not decided: the limits of % are not named.', rates ->> 'agent'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR n IN 1 .. 4 LOOP
        IF most[n] IS NOT NULL AND (used[n] < most[n]) IS NOT TRUE THEN
            RETURN jsonb_build_object(
                'window', CASE WHEN n % 2 = 1 THEN 'minute' ELSE 'hour' END,
                'scope', CASE WHEN n <= 2 THEN 'agent' ELSE 'tool' END,
                'limit', most[n],
                'until', to_char(to_timestamp(CASE WHEN n % 2 = 1 THEN (this_minute + 1) * 60
                                                   ELSE (this_hour + 1) * 3600 END)
                                 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
        END IF;
    END LOOP;
    UPDATE public.authz_usage AS u
    SET minute = this_minute, hour = this_hour,
        minute_used = CASE WHEN u.tool = '' THEN used[1] ELSE used[3] END + 1,
        hour_used = CASE WHEN u.tool = '' THEN used[2] ELSE used[4] END + 1
    WHERE u.agent = rates ->> 'agent' AND u.tool IN ('', rates ->> 'tool');
    RETURN jsonb_build_object('used', jsonb_build_object(
        'agent', jsonb_build_array(used[1] + 1, used[2] + 1),
        'tool', jsonb_build_array(used[3] + 1, used[4] + 1)));
END
$body$;

-- As before (0004_decide_batch.sql), and besides, each request may have
--   "rates": see authz.count_call; counted when the call is about to be allowed or observed,
--   "flow": {"agent", "session", "reported": reading, "read": reading}: what was reported raises
--           the run in any case, what is read when the call goes on.
-- Counters are locked in key order before the first request is judged.
CREATE OR REPLACE FUNCTION authz.decide_batch(requests jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    request  jsonb;
    line     jsonb;
    stale    jsonb;
    counted  jsonb;
    goes_on  boolean;
    rows     jsonb[] := '{}';
    answers  jsonb[] := '{}';
    recorded jsonb;
BEGIN
    IF jsonb_path_exists(requests, '$[*].rates') THEN
        INSERT INTO public.authz_usage (agent, tool, minute, minute_used, hour, hour_used)
        SELECT DISTINCT e.value -> 'rates' ->> 'agent', t.tool, 0, 0, 0, 0
        FROM jsonb_array_elements(requests) AS e
        CROSS JOIN LATERAL (VALUES (''), (e.value -> 'rates' ->> 'tool')) AS t (tool)
        WHERE e.value ? 'rates' AND NOT EXISTS (
            SELECT FROM public.authz_usage AS u
            WHERE u.agent = e.value -> 'rates' ->> 'agent' AND u.tool = t.tool)
        ORDER BY 1, 2
        ON CONFLICT ON CONSTRAINT usage_once DO NOTHING;
        PERFORM FROM public.authz_usage AS u
        WHERE (u.agent, u.tool) IN (
            SELECT e.value -> 'rates' ->> 'agent', t.tool
            FROM jsonb_array_elements(requests) AS e
            CROSS JOIN LATERAL (VALUES (''), (e.value -> 'rates' ->> 'tool')) AS t (tool)
            WHERE e.value ? 'rates')
        ORDER BY u.agent, u.tool FOR UPDATE;
    END IF;
    IF jsonb_path_exists(requests, '$[*].flow') THEN
        -- One run of an agent after the other, whichever rows each of them raises.
        PERFORM pg_advisory_xact_lock(hashtextextended('authz.run:' || a.agent, 0))
        FROM (SELECT DISTINCT e.value -> 'flow' ->> 'agent' AS agent
              FROM jsonb_array_elements(requests) AS e WHERE e.value ? 'flow' ORDER BY 1) AS a;
    END IF;
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
            answers := array_append(answers, jsonb_build_object('stale', stale));
            CONTINUE;
        END IF;

        -- In observe mode the caller goes on whatever is decided: counted, never refused here.
        goes_on := line ->> 'effect' = 'allow' OR (request ->> 'observed')::boolean IS TRUE;
        IF goes_on AND request ? 'rates' THEN
            counted := authz.count_call(request -> 'rates');
            line := jsonb_set(line, '{settled,rate}', counted);
            IF NOT counted ? 'used' AND (request ->> 'observed')::boolean IS NOT TRUE THEN
                goes_on := false;
                line := line || jsonb_build_object('effect', 'deny', 'check', 'rate',
                                                   'code', 'rate.' || (counted ->> 'window'));
            END IF;
        END IF;
        IF jsonb_typeof(request -> 'flow' -> 'reported') = 'object' THEN
            PERFORM authz.raise_run(request -> 'flow' ->> 'agent', request -> 'flow' ->> 'session',
                                    request -> 'flow' -> 'reported');
        END IF;
        IF goes_on AND jsonb_typeof(request -> 'flow' -> 'read') = 'object' THEN
            PERFORM authz.raise_run(request -> 'flow' ->> 'agent', request -> 'flow' ->> 'session',
                                    request -> 'flow' -> 'read');
        END IF;
        rows := array_append(rows, line);
        answers := array_append(answers, jsonb_build_object(
            'effect', line ->> 'effect', 'check', line ->> 'check', 'code', line ->> 'code',
            'settled', line -> 'settled'));
    END LOOP;

    recorded := audit.append(to_jsonb(rows));
    IF jsonb_array_length(recorded) IS DISTINCT FROM cardinality(rows) THEN
        RAISE EXCEPTION 'Not decided: % of % were recorded.',
            jsonb_array_length(recorded), cardinality(rows);
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
                FROM unnest(answers) WITH ORDINALITY AS e (value, n)
            ) AS a
        )
    );
END
$body$;

REVOKE ALL ON FUNCTION authz.raise_run(text, text, jsonb), authz.count_call(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.raise_run(text, text, jsonb), authz.count_call(jsonb)
    TO muster_web, muster_worker;
