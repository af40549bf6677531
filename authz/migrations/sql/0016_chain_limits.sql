-- Limits over a chain: a call on what was handed over counts with everyone who handed it on, so
-- that nobody has more by splitting it over sub-agents. The functions are those of 0010_limits.sql
-- with what is said here of givers; the shape of a batch is told there. Of a request's cells, the
-- agent's own come first and those of its givers behind them.

-- How much of a reservation lies in the budget under this key.
CREATE FUNCTION authz.reserved_of(kept public.authz_reservation, counter text) RETURNS bigint
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT CASE counter WHEN 'agent:' || kept.agent THEN kept.amount_minor
           ELSE coalesce((kept.givers ->> substr(counter, 7))::bigint, 0) END
$body$;

-- The keys of the budgets that a reservation lies in.
CREATE FUNCTION authz.budgets_of(decided uuid) RETURNS text[]
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT coalesce(array_agg('agent:' || budget.agent), '{}')
    FROM (SELECT v.agent FROM public.authz_reservation AS v WHERE v.decision = decided
          UNION SELECT g.agent FROM public.authz_reservation AS v,
                       jsonb_object_keys(v.givers) AS g (agent) WHERE v.decision = decided) AS budget
$body$;

CREATE OR REPLACE FUNCTION authz.decide_batch(batch jsonb) RETURNS jsonb
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
    givers   jsonb;
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
    IF jsonb_path_exists(batch, '$.requests[*].sums') THEN
        -- A sum is read and added to by one batch after the other, whichever agents of its owner,
        -- and of those that they hand on to, call.
        PERFORM pg_advisory_xact_lock(hashtextextended('authz.sum:' || a.family, 0))
        FROM (SELECT DISTINCT s.value ->> 'family' AS family
              FROM jsonb_array_elements(batch -> 'requests') AS e,
                   jsonb_array_elements(e.value -> 'sums') AS s
              WHERE jsonb_typeof(e.value -> 'sums') = 'array' ORDER BY 1) AS a;
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
                            THEN authz.reserved_of(kept, counters[r.slots[i]]) ELSE 0 END;
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
                        -- Whose cap it is: the agent's own, or that of one who handed it on.
                        stopped := array_append(stopped, substr(counters[r.slots[over]], 7));
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
                FOR i IN 1 .. cardinality(r.slots) LOOP
                    CONTINUE WHEN r.places[i] <> 4;
                    own := authz.reserved_of(kept, counters[r.slots[i]]);
                    IF kept.day = this[3] THEN
                        used[r.slots[i]][4] := used[r.slots[i]][4] - own;
                    END IF;
                    IF kept.month = this[4] THEN
                        used[r.slots[i]][5] := used[r.slots[i]][5] - own;
                    END IF;
                END LOOP;
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
                SELECT coalesce(jsonb_object_agg(substr(counters[c.slot], 7), c.adds), '{}')
                INTO givers
                FROM unnest(r.slots, r.places, r.adds) WITH ORDINALITY AS c (slot, place, adds, n)
                WHERE c.place = 4 AND c.n <> money;
                INSERT INTO public.authz_reservation
                    (decision, agent, amount_minor, day, month, is_held, at, due_at, ended, givers)
                VALUES ((r."row" ->> 'id')::uuid, r.agent, r.adds[money], this[3], this[4],
                        NOT goes_on, turn, turn + make_interval(secs => r.due), '', givers);
            END IF;
        END IF;
        IF released IS NOT NULL AND goes_on THEN
            PERFORM authz.take_release(
                r.approval || jsonb_build_object('record', r."row" -> 'id'));
        END IF;
        IF r.sums IS NOT NULL AND goes_on THEN
            INSERT INTO public.authz_movement
                (decision, family, tool, agent, amount_minor, currency, at, givers)
            SELECT (r."row" ->> 'id')::uuid, s.family, s.tool, r.agent, s.amount, s.currency, turn,
                   ARRAY(SELECT DISTINCT o.family
                         FROM jsonb_to_recordset(r.sums) AS o (family text)
                         WHERE o.family <> s.family ORDER BY 1)
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

-- A limit that is used up: what the record says of it, and whom it pages.
CREATE OR REPLACE FUNCTION authz.refuse_over(counter text, who text, called text, place int, most bigint,
                                  used bigint, adds bigint, at timestamptz, observed boolean)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    span  constant text := (ARRAY['minute', 'hour', 'hour', 'day', 'month'])[place];
    scope constant text := CASE split_part(counter, ':', 1) WHEN 'entry' THEN 'tool'
                           ELSE split_part(counter, ':', 1) END;
    -- Whose limit it is: an agent's own, or that of one who handed the call on.
    whose constant text := CASE scope WHEN 'system' THEN who
                           ELSE split_part(split_part(counter, ':', 2), '/', 1) END;
    about constant text := CASE WHEN place <= 2 THEN 'rate' ELSE 'spend' END;
    told  jsonb := jsonb_build_object('window', span, 'scope', scope, 'limit', most,
                                      'until', authz.window_end(at, place));
BEGIN
    IF most IS NULL OR used IS NULL OR adds IS NULL OR adds < 0 THEN
        RAISE EXCEPTION 'Not decided: the limits of % are not named.', who
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF whose IS DISTINCT FROM who THEN
        told := told || jsonb_build_object('giver', whose);
    END IF;
    IF about = 'spend' THEN
        told := told || jsonb_build_object('used', used, 'asked', adds);
    END IF;
    IF observed IS NOT TRUE THEN
        PERFORM authz.page_once(
            about, whose, CASE WHEN scope = 'agent' THEN '' ELSE called END,
            span || ':' || (authz.windows(at))[(ARRAY[1, 2, 2, 3, 4])[place]],
            told || jsonb_build_object('system', CASE WHEN scope = 'system'
                                       THEN split_part(counter, ':', 2) END));
    END IF;
    RETURN jsonb_build_object(about, told);
END
$body$;

-- What the record and the answer say of what a call has counted.
CREATE OR REPLACE FUNCTION authz.told_of(counters text[], slots int[], places int[], adds bigint[],
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
            -- The agent's own come first, and are what is told.
            rate := jsonb_build_object(
                CASE scope WHEN 'agent' THEN 'agent' WHEN 'entry' THEN 'tool' ELSE 'system' END,
                ARRAY[used[slots[i]][1], used[slots[i]][2]]) || rate;
        ELSIF places[i] = 3 AND before -> 'quota' IS NULL AND NOT found ? 'quota' THEN
            found := found || jsonb_build_object('quota', jsonb_build_object(
                'used', used[slots[i]][3], 'records', adds[i]));
        ELSIF places[i] = 4 AND NOT found ? 'spend' THEN
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
-- included, and what others moved on what they handed on. Each of `sums` is {"family", "tool", "amount", "currency", "above", "hours",
-- "worth": {currency: how many minor units of this one's currency one of its own is}}.
-- Answers {"sum", "above", "currency", "hours"}, with "code" where a human must be asked.
CREATE OR REPLACE FUNCTION authz.weigh_sums(sums jsonb, turn timestamptz) RETURNS jsonb
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
        WHERE (m.family = gate.family OR m.givers @> ARRAY[gate.family::varchar])
          AND m.tool = gate.tool
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

-- Lock the budgets of a decision's agent and of those that handed the call on, then its reservation; NULL where there is none.
CREATE OR REPLACE FUNCTION authz.lock_reservation(decided uuid) RETURNS public.authz_reservation
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    found public.authz_reservation;
BEGIN
    PERFORM FROM public.authz_counter AS c
    WHERE c.key = ANY (authz.budgets_of(decided)) ORDER BY c.key FOR UPDATE;
    SELECT * INTO found FROM public.authz_reservation AS v WHERE v.decision = decided FOR UPDATE;
    RETURN found;
END
$body$;

-- A hold was refused, or has expired: its money is free again. Whether there was any.
CREATE OR REPLACE FUNCTION authz.free_reservation(decided uuid) RETURNS boolean
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
    PERFORM authz.move_spent(g.key, kept.day, kept.month, -g.value::bigint)
    FROM jsonb_each_text(kept.givers) AS g ORDER BY g.key;
    RETURN true;
END
$body$;

-- What a call has really cost, in the agent's currency. Answers whether the agent must stop.
CREATE OR REPLACE FUNCTION authz.settle(decided uuid, who text, cost bigint) RETURNS boolean
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
    PERFORM FROM public.authz_counter AS c
    WHERE c.key = ANY (authz.budgets_of(decided) || ('agent:' || who)::text)
    ORDER BY c.key FOR UPDATE;
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
        -- In their own currencies: of what was reserved with them, the same part.
        PERFORM authz.move_spent(g.key, kept.day, kept.month,
            ceil(g.value::numeric * cost / kept.amount_minor)::bigint
            - ceil(g.value::numeric * coalesce(kept.cost_minor, kept.amount_minor)
                   / kept.amount_minor)::bigint)
        FROM jsonb_each_text(kept.givers) AS g ORDER BY g.key;
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

DO $body$
DECLARE
    ours regprocedure;
BEGIN
    FOREACH ours IN ARRAY ARRAY[
        'authz.reserved_of(public.authz_reservation, text)',
        'authz.budgets_of(uuid)']::regprocedure[]
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', ours);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO muster_web, muster_worker', ours);
    END LOOP;
END
$body$;
