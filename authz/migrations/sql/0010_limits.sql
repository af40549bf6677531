-- Limits: calls, records, money and sums, counted in the transaction of the record.
--
-- Everything that locks does it in one order: holds by agent, retries by key, counters by key,
-- runs, then what hangs on counters (reservations, movements), then counters of denials by key.

ALTER TABLE public.authz_counter SET (fillfactor = 50);

INSERT INTO public.authz_counter (key, minute, minute_calls, hour, hour_calls)
SELECT CASE WHEN u.tool = '' THEN 'agent:' || u.agent ELSE 'entry:' || u.agent || '/' || u.tool END,
       u.minute, u.minute_used, u.hour, u.hour_used
FROM public.authz_usage AS u
ON CONFLICT DO NOTHING;

CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON public.authz_currencyrate
    FOR EACH STATEMENT EXECUTE FUNCTION public.registry_bump_global();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON public.authz_currencyrate
    FOR EACH STATEMENT EXECUTE FUNCTION public.registry_bump_every();

-- The numbers of the minute, hour, day and month (UTC) that an instant lies in.
CREATE FUNCTION authz.windows(at timestamptz) RETURNS bigint[]
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT ARRAY[
        floor(extract(epoch FROM at) / 60)::bigint,
        floor(extract(epoch FROM at) / 3600)::bigint,
        floor(extract(epoch FROM at) / 86400)::bigint,
        (extract(year FROM at AT TIME ZONE 'UTC') * 12
         + extract(month FROM at AT TIME ZONE 'UTC') - 1)::bigint];
END;

-- The end of the window of place 1 (calls a minute), 2 (calls an hour), 3 (records an hour),
-- 4 (money a day) or 5 (money a month).
CREATE FUNCTION authz.window_end(at timestamptz, place int) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT to_char(
        date_trunc((ARRAY['minute', 'hour', 'hour', 'day', 'month'])[place], at AT TIME ZONE 'UTC')
        + (ARRAY['1 minute', '1 hour', '1 hour', '1 day', '1 month'])[place]::interval,
        'YYYY-MM-DD"T"HH24:MI:SS"Z"');
END;

-- Stop an agent: it is suspended after the commit, or by the next sweep.
CREATE FUNCTION authz.stop_agent(stopped text, why text) RETURNS void
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO public.authz_stop AS s (agent, cause, at) VALUES (stopped, why, clock_timestamp())
    ON CONFLICT (agent) DO UPDATE SET cause = EXCLUDED.cause, at = EXCLUDED.at, handled_at = NULL
        WHERE s.handled_at IS NOT NULL;
END;

CREATE FUNCTION authz.page_once(about text, who text, called text, during text, facts jsonb)
RETURNS void
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO public.authz_page (kind, agent, tool, "window", at, detail)
    VALUES (about, who, called, during, clock_timestamp(), facts)
    ON CONFLICT ON CONSTRAINT page_once DO NOTHING;
END;

-- What one batch does. `batch` is made by authz/batch.py:
--   "facts": keys of slices, "counters": keys of counters in byte order,
--   "requests": each {"row": … of audit.append, "now": when it was judged,
--     "slices": which of the facts it was judged by, "revisions": with which revision of each,
--     "observed": whether the caller goes on whatever is decided,
--     "flow": {"agent", "session", "reported": reading, "read": reading} (0005_flow.sql),
--     "agent", "tool", "breaker": denials an hour that stop the agent (0 for never),
--     "slots", "places", "adds", "most": what it counts, cell by cell, in the order of the walk:
--         which counter, which of its five cells (1 calls a minute, 2 calls an hour, 3 records an
--         hour, 4 money a day, 5 money a month), how much, and the limit (-1 for none),
--     "due": after how many seconds the money of cell 4 counts at the ceiling for good,
--     "sums": see authz.weigh_sums, "hold" and "approval": see authz.settle_hold,
--     "retry": {"key", "body"}: what is answered under this key is answered once}.
-- Answers {"now", "answers"} in the order of the requests: {"stale": [keys]} for one that was
-- judged by facts that have changed since (nothing is recorded of it), otherwise {"id", "at",
-- "effect", "check", "code", "settled"} as recorded, with "stopped" where its agent must stop;
-- "again" is true for an answer that was given before, false where its key is taken by another.
DROP FUNCTION authz.decide_batch(jsonb);
CREATE FUNCTION authz.decide_batch(batch jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    facts    constant text[] := ARRAY(SELECT jsonb_array_elements_text(batch -> 'facts'));
    counters constant text[] := ARRAY(SELECT jsonb_array_elements_text(batch -> 'counters'));
    world    constant int := array_position(facts, 'global');
    current  bigint[];
    -- What most calls count: one of an agent without other limits, which may cost something.
    plain    constant int[] := '{1,2,4}';
    many     constant int := cardinality(counters);
    locked   text[];
    used     bigint[];
    this     bigint[];
    turn     timestamptz;
    seconds  bigint;
    r        record;
    effect   text;
    line     jsonb;
    changed  jsonb;
    settled  jsonb;
    summed   jsonb;
    released jsonb;
    stale    text[];
    over     int;
    over_records int;
    watched  boolean;
    goes_on  boolean;
    again    boolean;
    kept     public.authz_reservation;
    own      bigint;
    money    int;
    tallied  boolean := false;
    rows     jsonb[] := '{}';
    answers  jsonb[] := '{}';
    denied   text[] := '{}';
    patience bigint[] := '{}';
    stopped  text[] := '{}';
    recorded jsonb;
    told     public.authz_retry;
    retries  text[] := '{}';
    bodies   text[] := '{}';
    places   int[] := '{}';
    i        int;
BEGIN
    IF jsonb_path_exists(batch, '$.requests[*] ? (exists(@.hold) || exists(@.approval))') THEN
        PERFORM authz.lock_holds(ARRAY(
            SELECT coalesce(e.value -> 'hold' ->> 'agent', e.value -> 'approval' ->> 'agent')
            FROM jsonb_array_elements(batch -> 'requests') AS e
            WHERE e.value ? 'hold' OR e.value ? 'approval'));
    END IF;
    IF jsonb_path_exists(batch, '$.requests[*].retry') THEN
        -- One answer under one key, whoever else asks for it at the same time.
        PERFORM pg_advisory_xact_lock(hashtextextended('authz.retry:' || a.key, 0))
        FROM (SELECT DISTINCT e.value -> 'retry' ->> 'key' AS key
              FROM jsonb_array_elements(batch -> 'requests') AS e
              WHERE e.value ? 'retry' ORDER BY 1) AS a;
    END IF;
    IF many > 0 THEN
        IF (SELECT count(*) FROM public.authz_counter AS c WHERE c.key = ANY (counters)) < many THEN
            INSERT INTO public.authz_counter (key)
            SELECT k.key FROM unnest(counters) AS k (key)
            WHERE NOT EXISTS (SELECT FROM public.authz_counter AS c WHERE c.key = k.key)
            ORDER BY k.key COLLATE "C"
            ON CONFLICT DO NOTHING;
        END IF;
        -- The counters come in this order too, so that each stands in the place of its key.
        SELECT array_agg(ARRAY[c.minute_calls, c.hour_calls, c.hour_records, c.day_spent,
                               c.month_spent, c.minute, c.hour, c.day, c.month]),
               array_agg(c.key)
        INTO used, locked
        FROM (SELECT * FROM public.authz_counter AS c WHERE c.key = ANY (counters)
              ORDER BY c.key FOR UPDATE) AS c;
        IF locked IS DISTINCT FROM counters THEN
            RAISE EXCEPTION 'Not decided: a counter is missing.' USING ERRCODE = 'no_data_found';
        END IF;
    END IF;
    IF jsonb_path_exists(batch, '$.requests[*].flow') THEN
        -- One run of an agent after the other, whichever rows each of them raises.
        PERFORM pg_advisory_xact_lock(hashtextextended('authz.run:' || a.agent, 0))
        FROM (SELECT DISTINCT e.value -> 'flow' ->> 'agent' AS agent
              FROM jsonb_array_elements(batch -> 'requests') AS e
              WHERE e.value ? 'flow' ORDER BY 1) AS a;
    END IF;
    -- From here on everything is locked that the batch counts. Each statement of a VOLATILE
    -- function sees all that was committed before it. A clock that was set back opens no window.
    turn := clock_timestamp();
    seconds := floor(extract(epoch FROM turn));
    this := ARRAY[seconds / 60, seconds / 3600, seconds / 86400,
                  extract(year FROM turn AT TIME ZONE 'UTC')::bigint * 12
                  + extract(month FROM turn AT TIME ZONE 'UTC')::bigint - 1];
    FOR i IN 1 .. many LOOP
        -- Places 6 to 9 are the windows that the first five were counted in.
        IF used[i][6] < this[1] THEN used[i][1] := 0; END IF;
        IF used[i][7] < this[2] THEN used[i][2] := 0; used[i][3] := 0; END IF;
        IF used[i][8] < this[3] THEN used[i][4] := 0; END IF;
        IF used[i][9] < this[4] THEN used[i][5] := 0; END IF;
    END LOOP;
    SELECT array_agg(coalesce(s.revision, 0) ORDER BY f.n) INTO current
    FROM unnest(facts) WITH ORDINALITY AS f (key, n)
    LEFT JOIN public.registry_slice AS s ON s.key = f.key;

    FOR r IN
        SELECT * FROM jsonb_to_recordset(batch -> 'requests') AS e (
            "row" jsonb, now timestamptz, slices int[], revisions bigint[], observed boolean,
            flow jsonb, agent text, tool text, breaker bigint, slots int[], places int[],
            adds bigint[], most bigint[], due int, sums jsonb, hold jsonb, approval jsonb,
            retry jsonb)
    LOOP
        effect := r."row" ->> 'effect';
        IF effect IS NULL OR effect NOT IN ('allow', 'deny', 'hold') THEN
            RAISE EXCEPTION 'Not decided: the effect is %.', coalesce(effect, 'missing')
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        -- A refusal may rest on no facts at all (it was busy); nothing else may.
        IF effect <> 'deny' AND (r.now IS NOT NULL AND world = ANY (r.slices)) IS NOT TRUE THEN
            RAISE EXCEPTION 'Not decided: the time and the facts behind it are not named.'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        -- Compared at the request's turn, after the bumps of the earlier ones. A NULL differs.
        stale := NULL;
        FOR i IN 1 .. coalesce(cardinality(r.slices), 0) LOOP
            IF (current[r.slices[i]] = r.revisions[i]) IS NOT TRUE THEN
                stale := array_append(stale, facts[r.slices[i]]);
            END IF;
        END LOOP;
        -- What is bound to a time was compared with a `now` that must be now.
        IF stale IS NULL AND r.now IS NOT NULL
                AND (r.now BETWEEN turn - interval '5 s' AND turn + interval '5 s') IS NOT TRUE THEN
            stale := '{now}';
        END IF;
        IF stale IS NOT NULL THEN
            answers := array_append(answers, jsonb_build_object('stale', stale));
            CONTINUE;
        END IF;

        IF r.retry IS NOT NULL AND effect <> 'deny' THEN
            -- What was answered under this key is answered again, and nothing counts twice; but
            -- never a yes that would be a no by now.
            SELECT * INTO told FROM public.authz_retry AS t WHERE t.key = r.retry ->> 'key';
            IF FOUND THEN
                answers := array_append(answers,
                    CASE WHEN told.body = r.retry ->> 'body' THEN told.answer
                         ELSE '{}' END || jsonb_build_object('again', told.body = r.retry ->> 'body'));
                CONTINUE;
            ELSIF r.retry ->> 'key' = ANY (retries) THEN
                -- It was asked twice in this batch: the second asks again when the first is done.
                answers := array_append(answers, '{"stale": ["retry"]}'::jsonb);
                CONTINUE;
            END IF;
        END IF;
        settled := '{}';
        changed := '{}';
        released := NULL;
        -- In observe mode the caller goes on whatever is decided: counted, never refused here.
        watched := r.observed IS TRUE;
        IF r.slots IS NOT NULL AND (effect <> 'deny' OR watched) THEN
            IF cardinality(r.slots) IS DISTINCT FROM cardinality(r.places)
                    OR cardinality(r.slots) IS DISTINCT FROM cardinality(r.adds)
                    OR cardinality(r.slots) IS DISTINCT FROM cardinality(r.most) THEN
                RAISE EXCEPTION 'Not decided: the limits of % are not named.', r.agent
                    USING ERRCODE = 'invalid_parameter_value';
            END IF;
            kept := CASE WHEN r.approval IS NOT NULL
                         THEN authz.money_of_approval(r.approval, r.agent) END;
            over := NULL;
            over_records := NULL;
            FOR i IN 1 .. cardinality(r.slots) LOOP
                -- What was reserved for the hold is this call's own.
                own := CASE WHEN kept.day = this[3] AND r.places[i] = 4
                              OR kept.month = this[4] AND r.places[i] = 5
                            THEN kept.amount_minor ELSE 0 END;
                IF (r.most[i] = -1
                        OR used[r.slots[i]][r.places[i]] - own + r.adds[i] <= r.most[i])
                        IS NOT TRUE THEN
                    IF r.places[i] = 3 THEN
                        over_records := coalesce(over_records, i);
                    ELSE
                        over := i;
                        EXIT;
                    END IF;
                END IF;
            END LOOP;
            IF over IS NOT NULL THEN
                settled := settled || authz.refuse_over(
                    counters[r.slots[over]], r.agent, r.tool, r.places[over], r.most[over],
                    used[r.slots[over]][r.places[over]], r.adds[over], turn, watched);
                IF NOT watched THEN
                    effect := 'deny';
                    changed := (ARRAY[
                        '{"effect": "deny", "check": "rate", "code": "rate.minute"}',
                        '{"effect": "deny", "check": "rate", "code": "rate.hour"}', NULL,
                        '{"effect": "deny", "check": "spend", "code": "spend.cap"}',
                        '{"effect": "deny", "check": "spend", "code": "spend.month"}'
                        ]::jsonb[])[r.places[over]];
                    IF r.places[over] >= 4 THEN
                        stopped := array_append(stopped, r.agent);
                    END IF;
                END IF;
            END IF;
            IF over_records IS NOT NULL AND (effect <> 'deny' OR watched) THEN
                settled := settled || jsonb_build_object('quota', jsonb_build_object(
                    'window', 'hour', 'scope', 'tool', 'limit', r.most[over_records],
                    'used', used[r.slots[over_records]][3], 'records', r.adds[over_records],
                    'until', authz.window_end(turn, 3)));
                IF effect = 'allow' AND NOT watched THEN
                    effect := 'hold';
                    changed := '{"effect": "hold", "check": "quota", "code": "quota.hour"}';
                END IF;
            END IF;
        END IF;
        IF r.sums IS NOT NULL AND (effect <> 'deny' OR watched) THEN
            summed := authz.weigh_sums(r.sums, turn);
            settled := settled || jsonb_build_object('gate', summed);
            IF summed ? 'code' AND effect = 'allow' AND NOT watched THEN
                effect := 'hold';
                changed := jsonb_build_object('effect', 'hold', 'check', 'gate',
                                              'code', summed -> 'code');
            END IF;
        END IF;
        IF effect = 'hold' AND NOT watched THEN
            -- One question to a human for all that holds; a release answers it.
            line := authz.settle_hold(
                r."row" || changed || jsonb_build_object('settled', settled),
                jsonb_build_object('hold', r.hold, 'approval', r.approval));
            effect := line ->> 'effect';
            settled := line -> 'settled';
            changed := jsonb_build_object('effect', line -> 'effect', 'check', line -> 'check',
                                          'code', line -> 'code');
            released := settled -> 'release';
        ELSIF effect = 'allow' AND NOT watched AND r.approval IS NOT NULL THEN
            -- Nothing holds it (any more): the release that came is used up all the same.
            released := authz.check_release(r.approval);
            IF released ? 'release' THEN
                settled := settled || jsonb_build_object('release', released);
            ELSE
                released := NULL;
            END IF;
        END IF;
        goes_on := effect = 'allow' OR watched;
        IF r.slots IS NOT NULL AND (goes_on OR effect = 'hold') THEN
            money := array_position(r.places, 4);
            IF released IS NOT NULL AND kept.decision IS NOT NULL AND money IS NOT NULL THEN
                UPDATE public.authz_reservation AS v SET ended = 'freed', cost_minor = 0
                WHERE v.decision = kept.decision;
                IF kept.day = this[3] THEN
                    used[r.slots[money]][4] := used[r.slots[money]][4] - kept.amount_minor;
                END IF;
                IF kept.month = this[4] THEN
                    used[r.slots[money]][5] := used[r.slots[money]][5] - kept.amount_minor;
                END IF;
            END IF;
            -- A held call reserves money, once for all that were merged into one hold; calls,
            -- records and sums count when it runs.
            again := NOT goes_on AND (settled -> 'hold' -> 'merged' = 'false') IS NOT TRUE;
            FOR i IN 1 .. cardinality(r.slots) LOOP
                IF goes_on OR (r.places[i] >= 4 AND NOT again) THEN
                    used[r.slots[i]][r.places[i]] := used[r.slots[i]][r.places[i]] + r.adds[i];
                END IF;
            END LOOP;
            tallied := true;
            IF r.places = plain AND settled = '{}' THEN
                i := r.slots[1];
                settled := jsonb_build_object(
                    'rate', jsonb_build_object('used', jsonb_build_object(
                        'agent', ARRAY[used[i][1], used[i][2]])),
                    'spend', jsonb_build_object(
                        'reserved', r.adds[3], 'used', ARRAY[used[i][4], used[i][5]]));
            ELSE
                settled := settled
                    || authz.told_of(counters, r.slots, r.places, r.adds, used, settled);
            END IF;
            IF money IS NOT NULL AND r.adds[money] > 0 AND NOT again THEN
                INSERT INTO public.authz_reservation
                    (decision, agent, amount_minor, day, month, is_held, at, due_at, ended)
                VALUES ((r."row" ->> 'id')::uuid, r.agent, r.adds[money], this[3], this[4],
                        NOT goes_on, turn, turn + make_interval(secs => r.due), '');
            END IF;
        END IF;
        IF released IS NOT NULL AND goes_on THEN
            PERFORM authz.take_release(
                r.approval || jsonb_build_object('record', r."row" -> 'id'));
        END IF;
        IF r.sums IS NOT NULL AND goes_on THEN
            INSERT INTO public.authz_movement
                (decision, family, tool, agent, amount_minor, currency, at)
            SELECT (r."row" ->> 'id')::uuid, s.family, s.tool, r.agent, s.amount, s.currency, turn
            FROM jsonb_to_recordset(r.sums) AS s (
                family text, tool text, amount bigint, currency text)
            LIMIT 1;
        END IF;
        IF jsonb_typeof(r.flow -> 'reported') = 'object' THEN
            PERFORM authz.raise_run(r.flow ->> 'agent', r.flow ->> 'session', r.flow -> 'reported');
            current := authz.revisions_of(facts);
        END IF;
        IF goes_on AND jsonb_typeof(r.flow -> 'read') = 'object' THEN
            PERFORM authz.raise_run(r.flow ->> 'agent', r.flow ->> 'session', r.flow -> 'read');
            current := authz.revisions_of(facts);
        END IF;
        IF effect = 'deny' AND r.breaker > 0 THEN
            denied := array_append(denied, r.agent);
            patience := array_append(patience, r.breaker);
        END IF;
        changed := changed || jsonb_build_object('settled', settled);
        rows := array_append(rows, r."row" || changed);
        answers := array_append(answers, jsonb_build_object(
            'effect', effect, 'check', r."row" -> 'check', 'code', r."row" -> 'code',
            'agent', r.agent) || changed);
        IF r.retry IS NOT NULL AND effect <> 'deny' THEN
            retries := array_append(retries, r.retry ->> 'key');
            bodies := array_append(bodies, r.retry ->> 'body');
            places := array_append(places, cardinality(answers));
        END IF;
    END LOOP;

    IF tallied THEN
        UPDATE public.authz_counter AS c
        SET minute = greatest(c.minute, this[1]), hour = greatest(c.hour, this[2]),
            day = greatest(c.day, this[3]), month = greatest(c.month, this[4]),
            minute_calls = used[k.n][1], hour_calls = used[k.n][2], hour_records = used[k.n][3],
            day_spent = used[k.n][4], month_spent = used[k.n][5]
        FROM unnest(counters) WITH ORDINALITY AS k (key, n)
        WHERE c.key = k.key;
    END IF;
    IF cardinality(denied) > 0 THEN
        stopped := stopped || authz.count_denials(denied, patience, this[2]);
    END IF;
    FOR i IN 1 .. cardinality(stopped) LOOP
        -- A circuit that breaks was noted by authz.count_denials: the first cause stands.
        PERFORM authz.stop_agent(stopped[i], 'spend');
    END LOOP;

    recorded := audit.append(to_jsonb(rows));
    IF jsonb_array_length(recorded) IS DISTINCT FROM cardinality(rows) THEN
        RAISE EXCEPTION 'Not decided: % of % were recorded.',
            jsonb_array_length(recorded), cardinality(rows);
    END IF;
    recorded := (
            SELECT coalesce(jsonb_agg(
                CASE WHEN a.value ?| '{stale,again}' THEN a.value
                     WHEN a.value ->> 'agent' = ANY (stopped)
                         THEN a.value || (recorded -> a.turn) || '{"stopped": true}'
                     ELSE a.value || (recorded -> a.turn) END
                ORDER BY a.n), '[]')
            FROM (
                SELECT e.value, e.n,
                       (count(*) FILTER (WHERE NOT e.value ?| '{stale,again}')
                        OVER (ORDER BY e.n) - 1)::int AS turn
                FROM unnest(answers) WITH ORDINALITY AS e (value, n)
            ) AS a
        );
    IF cardinality(retries) > 0 THEN
        INSERT INTO public.authz_retry (key, body, answer, at)
        SELECT a.key, a.body, recorded -> (a.place - 1), turn
        FROM unnest(retries, bodies, places) AS a (key, body, place);
    END IF;
    RETURN jsonb_build_object(
        'now', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'answers', recorded);
END
$body$;

-- The revisions of slices now, in the order of their keys; 0 where nothing ever changed.
CREATE FUNCTION authz.revisions_of(facts text[]) RETURNS bigint[]
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT array_agg(coalesce(s.revision, 0) ORDER BY f.n)
    FROM unnest(facts) WITH ORDINALITY AS f (key, n)
    LEFT JOIN public.registry_slice AS s ON s.key = f.key;
END;

-- A limit that is used up: what the record says of it, and whom it pages.
CREATE FUNCTION authz.refuse_over(counter text, who text, called text, place int, most bigint,
                                  used bigint, adds bigint, at timestamptz, observed boolean)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    span  constant text := (ARRAY['minute', 'hour', 'hour', 'day', 'month'])[place];
    scope constant text := CASE split_part(counter, ':', 1) WHEN 'entry' THEN 'tool'
                           ELSE split_part(counter, ':', 1) END;
    about constant text := CASE WHEN place <= 2 THEN 'rate' ELSE 'spend' END;
    told  jsonb := jsonb_build_object('window', span, 'scope', scope, 'limit', most,
                                      'until', authz.window_end(at, place));
BEGIN
    IF most IS NULL OR used IS NULL OR adds IS NULL OR adds < 0 THEN
        RAISE EXCEPTION 'Not decided: the limits of % are not named.', who
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF about = 'spend' THEN
        told := told || jsonb_build_object('used', used, 'asked', adds);
    END IF;
    IF observed IS NOT TRUE THEN
        PERFORM authz.page_once(
            about, who, CASE WHEN scope = 'agent' THEN '' ELSE called END,
            span || ':' || (authz.windows(at))[(ARRAY[1, 2, 2, 3, 4])[place]],
            told || jsonb_build_object('system', CASE WHEN scope = 'system'
                                       THEN split_part(counter, ':', 2) END));
    END IF;
    RETURN jsonb_build_object(about, told);
END
$body$;

-- What the record and the answer say of what a call has counted.
CREATE FUNCTION authz.told_of(counters text[], slots int[], places int[], adds bigint[],
                              used bigint[], before jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    rate  jsonb := '{}';
    found jsonb := '{}';
    scope text;
    n     int := 0;
BEGIN
    FOR i IN 1 .. cardinality(slots) LOOP
        IF places[i] = 2 THEN
            scope := substr(counters[slots[i]], 1, 5);
            rate := rate || jsonb_build_object(
                CASE scope WHEN 'agent' THEN 'agent' WHEN 'entry' THEN 'tool' ELSE 'system' END,
                ARRAY[used[slots[i]][1], used[slots[i]][2]]);
        ELSIF places[i] = 3 AND before -> 'quota' IS NULL THEN
            found := found || jsonb_build_object('quota', jsonb_build_object(
                'used', used[slots[i]][3], 'records', adds[i]));
        ELSIF places[i] = 4 THEN
            found := found || jsonb_build_object('spend', jsonb_build_object(
                'reserved', adds[i], 'used', ARRAY[used[slots[i]][4], used[slots[i]][5]])
                || coalesce(before -> 'spend', '{}'));
        END IF;
    END LOOP;
    IF rate <> '{}' THEN
        found := found || jsonb_build_object(
            'rate', coalesce(before -> 'rate', jsonb_build_object('used', rate)));
    END IF;
    RETURN found;
END
$body$;

-- Sums under gates: what the agents of one owner moved with one tool in the last hours, this call
-- included. Each of `sums` is {"family", "tool", "amount", "currency", "above", "hours",
-- "worth": {currency: how many minor units of this one's currency one of its own is}}.
-- Answers {"sum", "above", "currency", "hours"}, with "code" where a human must be asked.
CREATE FUNCTION authz.weigh_sums(sums jsonb, turn timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    gate  record;
    total numeric;
    lost  boolean;
    told  jsonb;
BEGIN
    FOR gate IN
        SELECT * FROM jsonb_to_recordset(sums) AS g (
            family text, tool text, amount bigint, currency text, above bigint, hours int,
            worth jsonb)
    LOOP
        SELECT sum(m.amount_minor * (gate.worth ->> m.currency)::numeric),
               bool_or((gate.worth ->> m.currency) IS NULL)
        INTO total, lost
        FROM public.authz_movement AS m
        WHERE m.family = gate.family AND m.tool = gate.tool
          AND m.at > turn - make_interval(hours => gate.hours);
        total := ceil(coalesce(total, 0)) + gate.amount;
        told := jsonb_build_object('sum', total, 'above', gate.above, 'currency', gate.currency,
                                   'hours', gate.hours);
        IF lost THEN
            RETURN told || '{"code": "gate.currency"}';
        ELSIF (total <= gate.above) IS NOT TRUE THEN
            RETURN told || '{"code": "gate.sum"}';
        END IF;
    END LOOP;
    RETURN coalesce(told, '{"code": "gate.sum"}');
END
$body$;

-- Count denials of agents in this hour; those past their patience are stopped, and answered.
CREATE FUNCTION authz.count_denials(denied text[], patience bigint[], this_hour bigint)
RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    past   text[] := '{}';
    agents record;
BEGIN
    FOR agents IN
        WITH asked AS (
            SELECT 'denied:' || d.agent AS key, d.agent, count(*) AS times, max(d.most) AS most
            FROM unnest(denied, patience) AS d (agent, most)
            GROUP BY d.agent ORDER BY 1
        ), counted AS (
            INSERT INTO public.authz_counter AS c (key, hour, hour_calls)
            SELECT a.key, this_hour, a.times FROM asked AS a ORDER BY a.key COLLATE "C"
            ON CONFLICT (key) DO UPDATE SET
                hour = greatest(c.hour, EXCLUDED.hour),
                hour_calls = EXCLUDED.hour_calls
                    + CASE WHEN c.hour >= EXCLUDED.hour THEN c.hour_calls ELSE 0 END
            RETURNING c.key, c.hour_calls
        )
        SELECT a.agent, c.hour_calls AS times, a.most FROM counted AS c JOIN asked AS a USING (key)
        ORDER BY a.key
    LOOP
        CONTINUE WHEN agents.times < agents.most;
        past := array_append(past, agents.agent);
        PERFORM authz.stop_agent(agents.agent, 'denials');
        PERFORM authz.page_once('denials', agents.agent, '', 'hour:' || this_hour,
            jsonb_build_object('window', 'hour', 'used', agents.times, 'limit', agents.most));
    END LOOP;
    RETURN past;
END
$body$;

-- What is reserved for the hold that an approval releases; NULL for nothing.
CREATE FUNCTION authz.money_of_approval(approval jsonb, who text)
RETURNS public.authz_reservation
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    checked constant jsonb := authz.check_release(approval);
    found   public.authz_reservation;
BEGIN
    IF checked ? 'hold' THEN
        SELECT * INTO found FROM public.authz_reservation AS v
        WHERE v.decision = (checked ->> 'hold')::uuid AND v.agent = who AND v.ended = '';
    END IF;
    RETURN found;
END
$body$;

-- Take money back into, or out of, the windows that it was counted in, if they still run.
CREATE FUNCTION authz.move_spent(who text, in_day bigint, in_month bigint, amount bigint)
RETURNS void
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE public.authz_counter AS c
    SET day_spent = c.day_spent + CASE WHEN c.day = in_day THEN amount ELSE 0 END,
        month_spent = c.month_spent + CASE WHEN c.month = in_month THEN amount ELSE 0 END
    WHERE c.key = 'agent:' || who;
END;

-- Lock the budget of a decision's agent, then its reservation; NULL where there is none.
CREATE FUNCTION authz.lock_reservation(decided uuid) RETURNS public.authz_reservation
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    found public.authz_reservation;
BEGIN
    PERFORM FROM public.authz_counter AS c
    WHERE c.key = (SELECT 'agent:' || v.agent FROM public.authz_reservation AS v
                   WHERE v.decision = decided) FOR UPDATE;
    SELECT * INTO found FROM public.authz_reservation AS v WHERE v.decision = decided FOR UPDATE;
    RETURN found;
END
$body$;

-- A hold was refused, or has expired: its money is free again. Whether there was any.
CREATE FUNCTION authz.free_reservation(decided uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    kept constant public.authz_reservation := authz.lock_reservation(decided);
BEGIN
    IF (kept.ended = '') IS NOT TRUE THEN
        RETURN false;
    END IF;
    UPDATE public.authz_reservation AS v SET ended = 'freed', cost_minor = 0
    WHERE v.decision = decided;
    PERFORM authz.move_spent(kept.agent, kept.day, kept.month, -kept.amount_minor);
    RETURN true;
END
$body$;

-- A hold that ends without running gives its money back, whoever ends it.
CREATE FUNCTION authz.free_money_of_hold() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM authz.free_reservation(NEW.id);
    RETURN NULL;
END
$body$;
CREATE TRIGGER free_money AFTER UPDATE OF state ON public.authz_hold
    FOR EACH ROW WHEN (OLD.state = 'open' AND NEW.state NOT IN ('open', 'approved'))
    EXECUTE FUNCTION authz.free_money_of_hold();

-- Nobody said what it cost: it counts at the ceiling for good. Whether it was still open.
CREATE FUNCTION authz.time_out_reservation(decided uuid, at timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    kept constant public.authz_reservation := authz.lock_reservation(decided);
BEGIN
    IF (kept.ended = '' AND NOT kept.is_held AND kept.due_at <= at) IS NOT TRUE THEN
        RETURN false;
    END IF;
    UPDATE public.authz_reservation AS v SET ended = 'timed_out', cost_minor = v.amount_minor
    WHERE v.decision = decided;
    RETURN true;
END
$body$;

-- What a call has really cost, in the agent's currency. Answers whether the agent must stop.
CREATE FUNCTION authz.settle(decided uuid, who text, cost bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    this  bigint[];
    kept  public.authz_reservation;
    most  record;
    spent record;
BEGIN
    IF cost IS NULL OR cost < 0 THEN
        RAISE EXCEPTION 'Not settled: the cost is not named.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.authz_counter (key) VALUES ('agent:' || who) ON CONFLICT DO NOTHING;
    PERFORM FROM public.authz_counter AS c WHERE c.key = 'agent:' || who FOR UPDATE;
    this := authz.windows(clock_timestamp());
    UPDATE public.authz_counter AS c
    SET day_spent = CASE WHEN c.day >= this[3] THEN c.day_spent ELSE 0 END,
        month_spent = CASE WHEN c.month >= this[4] THEN c.month_spent ELSE 0 END,
        day = greatest(c.day, this[3]), month = greatest(c.month, this[4])
    WHERE c.key = 'agent:' || who;
    SELECT * INTO kept FROM public.authz_reservation AS v
    WHERE v.decision = decided AND v.agent = who FOR UPDATE;
    IF kept.decision IS NULL OR kept.ended = 'freed' THEN
        PERFORM authz.move_spent(who, this[3], this[4], cost);
    ELSE
        -- A time-out is corrected by what is told later.
        PERFORM authz.move_spent(who, kept.day, kept.month,
                                 cost - coalesce(kept.cost_minor, kept.amount_minor));
        UPDATE public.authz_reservation AS v SET ended = 'reported', cost_minor = cost
        WHERE v.decision = decided;
    END IF;
    SELECT a.spend_cap_minor AS day, a.spend_cap_month_minor AS month INTO most
    FROM public.registry_agent AS a WHERE a.slug = who;
    SELECT c.day_spent AS day, c.month_spent AS month INTO spent
    FROM public.authz_counter AS c WHERE c.key = 'agent:' || who;
    IF spent.day > most.day OR spent.month > most.month THEN
        PERFORM authz.stop_agent(who, 'spend');
        PERFORM authz.page_once('spend', who, '',
            CASE WHEN spent.day > most.day THEN 'day:' || this[3] ELSE 'month:' || this[4] END,
            jsonb_build_object(
                'scope', 'agent', 'asked', cost,
                'window', CASE WHEN spent.day > most.day THEN 'day' ELSE 'month' END,
                'used', CASE WHEN spent.day > most.day THEN spent.day ELSE spent.month END,
                'limit', CASE WHEN spent.day > most.day THEN most.day ELSE most.month END));
        RETURN true;
    END IF;
    RETURN false;
END
$body$;

DROP FUNCTION authz.count_call(jsonb);

DO $body$
DECLARE
    ours regprocedure;
BEGIN
    FOREACH ours IN ARRAY ARRAY[
        'authz.decide_batch(jsonb)', 'authz.windows(timestamptz)',
        'authz.window_end(timestamptz, int)', 'authz.stop_agent(text, text)',
        'authz.page_once(text, text, text, text, jsonb)', 'authz.revisions_of(text[])',
        'authz.refuse_over(text, text, text, int, bigint, bigint, bigint, timestamptz, boolean)',
        'authz.told_of(text[], int[], int[], bigint[], bigint[], jsonb)',
        'authz.weigh_sums(jsonb, timestamptz)', 'authz.money_of_approval(jsonb, text)', 'authz.count_denials(text[], bigint[], bigint)',
        'authz.move_spent(text, bigint, bigint, bigint)', 'authz.lock_reservation(uuid)',
        'authz.free_reservation(uuid)', 'authz.free_money_of_hold()', 'authz.time_out_reservation(uuid, timestamptz)',
        'authz.settle(uuid, text, bigint)']::regprocedure[]
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', ours);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO muster_web, muster_worker', ours);
    END LOOP;
END
$body$;
