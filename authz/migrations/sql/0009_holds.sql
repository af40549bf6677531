-- Holds: made, merged and counted with the record that holds an action; released with the one
-- that lets it go on. Moved on by services, of which triggers here say once more who may not.

-- One matter of an agent's holds after the other. Who decides a batch takes these locks for all
-- its agents in order, before anything else of it; who decides a hold takes its agent's first.
CREATE FUNCTION authz.lock_holds(agents text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('authz.hold:' || a.agent, 0))
    FROM (SELECT DISTINCT e.agent FROM unnest(agents) AS e (agent)
          WHERE e.agent IS NOT NULL ORDER BY 1) AS a;
END
$body$;

-- Make a hold of an action, or find the one that there is. `line` is the row of the record as it
-- stands now, `hold` see docs/reference/holds.md ("What a held decision hands over").
-- Answers `{"id", "expires_at", "merged"}`, and `"release", "until"` where the action was released
-- already and has not run yet; or `{"flooded": how many wait, "limit"}` where nothing was made.
CREATE FUNCTION authz.make_hold(line jsonb, hold jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    at constant timestamptz := clock_timestamp();
    its_agent constant text := hold ->> 'agent';
    its_digest constant text := hold ->> 'digest';
    its_checks text[];
    its_codes text[];
    its_groups text[];
    its_barred text[];
    its_asked text[];
    waits public.authz_hold;
    released public.authz_release;
    waiting bigint;
    alike bigint;
    shapes bigint;
BEGIN
    IF num_nulls(line ->> 'id', line ->> 'check', line ->> 'code', its_agent, its_digest,
                 hold ->> 'shape', hold ->> 'tool', hold ->> 'tool_version', hold ->> 'seconds',
                 hold ->> 'most', hold ->> 'most_shapes', hold ->> 'groups') > 0 THEN
        RAISE EXCEPTION 'Not decided: what is to be held is not named.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM authz.lock_holds(ARRAY[its_agent]);

    -- What was approved and has not run yet is not asked again.
    SELECT r.* INTO released FROM public.authz_release AS r
    WHERE r.agent = its_agent AND r.digest = its_digest AND r.used_by IS NULL AND r.until > at
    ORDER BY r.until DESC LIMIT 1;
    IF FOUND THEN
        RETURN jsonb_build_object(
            'id', released.hold_id, 'digest', its_digest, 'release', released.id, 'merged', true,
            'until', authz.instant(released.until), 'expires_at', authz.instant(released.until));
    END IF;

    UPDATE public.authz_hold AS h
    SET times_asked = least(h.times_asked + 1, 2147483647), asked_at = at
    WHERE h.agent = its_agent AND h.digest = its_digest AND h.state = 'open' AND NOT h.overdue
      AND h.expires_at > at
    RETURNING h.* INTO waits;
    IF FOUND THEN
        RETURN jsonb_build_object('id', waits.id, 'digest', its_digest, 'merged', true,
                                  'expires_at', authz.instant(waits.expires_at));
    END IF;
    -- Its time was over and nobody has said so yet: the sweep will, and this is a new one.
    UPDATE public.authz_hold AS h SET overdue = true
    WHERE h.agent = its_agent AND h.digest = its_digest AND h.state = 'open' AND NOT h.overdue;

    SELECT count(*), count(*) FILTER (WHERE h.shape = hold ->> 'shape'), count(DISTINCT h.shape)
    INTO waiting, alike, shapes
    FROM public.authz_hold AS h
    WHERE h.agent = its_agent AND h.state = 'open' AND h.expires_at > at;
    IF (waiting < (hold ->> 'most')::bigint) IS NOT TRUE THEN
        RETURN jsonb_build_object('flooded', waiting, 'limit', (hold ->> 'most')::bigint);
    END IF;
    IF (alike > 0 OR shapes < (hold ->> 'most_shapes')::bigint) IS NOT TRUE THEN
        RETURN jsonb_build_object('flooded', shapes, 'limit', (hold ->> 'most_shapes')::bigint);
    END IF;

    its_checks := ARRAY(SELECT jsonb_array_elements_text(coalesce(hold -> 'checks', '[]')));
    its_codes := ARRAY(SELECT jsonb_array_elements_text(coalesce(hold -> 'codes', '[]')));
    IF array_position(its_checks, line ->> 'check') IS NULL THEN
        its_checks := its_checks || (line ->> 'check');
    END IF;
    IF array_position(its_codes, line ->> 'code') IS NULL THEN
        its_codes := its_codes || (line ->> 'code');
    END IF;
    its_groups := ARRAY(SELECT jsonb_array_elements_text(hold -> 'groups'));
    -- Whoever answers for an agent of the call, and for whom it acts.
    its_barred := ARRAY(
        SELECT DISTINCT p.pid
        FROM public.registry_agent AS a
        JOIN public.registry_person AS p ON p.id IN (a.owner_id, a.backup_owner_id)
        WHERE a.slug = its_agent OR a.slug = ANY (
            ARRAY(SELECT jsonb_array_elements_text(coalesce(hold -> 'chain', '[]'))))
        UNION SELECT hold ->> 'user' WHERE coalesce(hold ->> 'user', '') <> '');
    its_asked := authz.who_is_asked(its_groups, hold ->> 'tool', its_barred);

    INSERT INTO public.authz_hold (
        id, agent, "user", gateway, session, tool, tool_version, digest, shape, sealed, checks,
        codes, tier, is_restricted, is_money, is_grant, approvals, groups, agents, barred,
        asked_of, made_at, expires_at, times_asked, asked_at, overdue, state, decided_by_agent,
        reason)
    VALUES (
        (line ->> 'id')::uuid, its_agent, coalesce(hold ->> 'user', ''),
        coalesce(hold ->> 'gateway', ''), coalesce(hold ->> 'session', ''), hold ->> 'tool',
        (hold ->> 'tool_version')::int, its_digest, hold ->> 'shape',
        coalesce(hold -> 'sealed', '{}'), its_checks, its_codes, coalesce(hold ->> 'tier', ''),
        coalesce((hold ->> 'restricted')::boolean, true),
        coalesce((hold ->> 'money')::boolean, true), coalesce((hold ->> 'grant')::boolean, true),
        coalesce((hold ->> 'approvals')::int, 1), its_groups,
        ARRAY(SELECT jsonb_array_elements_text(coalesce(hold -> 'agents', '[]'))),
        its_barred, its_asked, at, at + make_interval(secs => (hold ->> 'seconds')::float8),
        1, at, false, 'open', '', '')
    RETURNING * INTO waits;
    RETURN jsonb_build_object('id', waits.id, 'digest', its_digest, 'merged', false,
                              'expires_at', authz.instant(waits.expires_at));
END
$body$;

CREATE FUNCTION authz.instant(at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$body$;

-- The people of these groups, now; of source owners only the one who owns the tool's system.
CREATE FUNCTION authz.who_is_asked(groups text[], tool text, barred text[]) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT coalesce(array_agg(DISTINCT p.pid ORDER BY p.pid), '{}')
    FROM public.registry_person AS p
    JOIN public.registry_person_groups AS m ON m.person_id = p.id
    JOIN public.auth_group AS g ON g.id = m.group_id
    WHERE g.name = ANY (who_is_asked.groups) AND p.is_active AND p.employment <> 'left'
      AND NOT p.pid = ANY (who_is_asked.barred)
      AND (g.name <> 'source_owner' OR EXISTS (
          SELECT FROM public.registry_tool AS t JOIN public.registry_system AS s ON s.id = t.system_id
          WHERE t.name = who_is_asked.tool AND s.owner_id = p.id))
$body$;

-- Whether a release fits. `approval` is `{"id", "agent", "digest"}`. Answers
-- `{"release", "hold"}`, and it stays locked; or `{"refused"}` with the cause:
-- unknown, pending, used, expired, out_of_scope.
CREATE FUNCTION authz.check_release(approval jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    named constant text := lower(approval ->> 'id');
    given public.authz_release;
BEGIN
    IF (named ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') IS NOT TRUE THEN
        RETURN '{"refused": "unknown"}';
    END IF;
    SELECT r.* INTO given FROM public.authz_release AS r WHERE r.id = named::uuid FOR UPDATE;
    IF NOT FOUND OR given.agent IS DISTINCT FROM approval ->> 'agent' THEN
        -- Another agent's is not told from none.
        RETURN CASE WHEN EXISTS (
            SELECT FROM public.authz_hold AS h
            WHERE h.id = named::uuid AND h.state = 'open' AND h.agent = approval ->> 'agent')
            THEN '{"refused": "pending"}'::jsonb ELSE '{"refused": "unknown"}'::jsonb END;
    END IF;
    IF given.digest IS DISTINCT FROM approval ->> 'digest' THEN
        RETURN '{"refused": "out_of_scope"}';
    END IF;
    IF given.used_by IS NOT NULL THEN
        RETURN '{"refused": "used"}';
    END IF;
    IF (given.until > clock_timestamp()) IS NOT TRUE THEN
        RETURN '{"refused": "expired"}';
    END IF;
    RETURN jsonb_build_object('release', given.id, 'hold', given.hold_id, 'digest', given.digest);
END
$body$;

-- As `check_release`, and use it up by the record `approval ->> 'record'`.
CREATE FUNCTION authz.take_release(approval jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    checked constant jsonb := authz.check_release(approval);
BEGIN
    IF checked ? 'release' THEN
        UPDATE public.authz_release AS r
        SET used_by = (approval ->> 'record')::uuid, used_at = clock_timestamp()
        WHERE r.id = (checked ->> 'release')::uuid AND r.used_by IS NULL;
        IF NOT FOUND OR approval ->> 'record' IS NULL THEN
            RAISE EXCEPTION 'Not decided: the release could not be used up.';
        END IF;
    END IF;
    RETURN checked;
END
$body$;

-- Where a held request ends: it goes on by a release, waits as a hold, or is refused. Answers
-- `line` with what replaces its effect, check, code and settled. Nothing is used up yet: see
-- `take_release`, which is called when nothing else refuses.
CREATE FUNCTION authz.settle_hold(line jsonb, request jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    found jsonb;
BEGIN
    IF jsonb_typeof(request -> 'approval') = 'object' THEN
        found := authz.check_release(request -> 'approval');
        IF found ? 'release' THEN
            RETURN jsonb_set(line, '{settled,release}', found)
                || '{"effect": "allow", "check": "", "code": ""}';
        END IF;
        IF found ->> 'refused' IN ('unknown', 'pending') THEN
            RETURN jsonb_set(line, '{settled,gate}', found) || jsonb_build_object(
                'effect', 'deny', 'check', 'gate', 'code', 'gate.release_' || (found ->> 'refused'));
        END IF;
        -- It was for something else, or is over: this is a new question.
        line := jsonb_set(line, '{settled,approval}', found);
    END IF;
    IF jsonb_typeof(request -> 'hold') IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'Not decided: it is held, and what is to be held is not named.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    found := authz.make_hold(line, request -> 'hold');
    IF found ? 'flooded' THEN
        RETURN jsonb_set(line, '{settled,gate}', found) || jsonb_build_object(
            'effect', 'deny', 'check', 'gate', 'code', 'gate.flooded');
    END IF;
    RETURN jsonb_set(line, '{settled,hold}', found);
END
$body$;

-- Who may not approve, whatever a service says.
CREATE FUNCTION authz_guard_vote() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
DECLARE
    hold  authz_hold;
    voter text;
    theirs boolean;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'What was said of a hold stays.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT h.* INTO hold FROM authz_hold AS h WHERE h.id = NEW.hold_id FOR UPDATE;
    IF NOT FOUND OR hold.state <> 'open' OR (hold.expires_at > clock_timestamp()) IS NOT TRUE THEN
        RAISE EXCEPTION 'This hold does not wait any more.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.digest <> hold.digest AND NOT EXISTS (
            SELECT FROM authz_holdedit AS e WHERE e.hold_id = hold.id AND e.digest = NEW.digest) THEN
        RAISE EXCEPTION 'Nobody was asked about this digest.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.agent <> '' THEN
        IF hold.is_grant OR hold.is_restricted OR NOT NEW.agent = ANY (hold.agents)
           OR NEW.agent = hold.agent THEN
            RAISE EXCEPTION 'No agent may approve this.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        SELECT p.pid INTO voter FROM registry_agent AS a JOIN registry_person AS p
            ON p.id = a.owner_id WHERE a.slug = NEW.agent AND a.state = 'active';
    ELSE
        SELECT p.pid INTO voter FROM registry_person AS p
        WHERE p.id = NEW.person_id AND p.is_active AND p.employment <> 'left';
        IF NOT coalesce(voter = ANY (hold.asked_of), false) THEN
            RAISE EXCEPTION 'This person was not asked when the hold was made.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    -- Whoever answers for the agent now, or did at any time since it asked; also through another
    -- agent of theirs.
    theirs := voter = ANY (hold.barred) OR voter = hold."user" OR EXISTS (
        SELECT FROM registry_agent AS a JOIN registry_person AS p
            ON p.id IN (a.owner_id, a.backup_owner_id)
        WHERE a.slug = hold.agent AND p.pid = voter);
    IF theirs IS NOT FALSE THEN
        RAISE EXCEPTION 'Nobody approves what an agent of their own, or for them, wants to do.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$body$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON authz_holdvote
    FOR EACH ROW EXECUTE FUNCTION authz_guard_vote();

-- A hold says one thing from its beginning to its end, leaves `open` once, is approved only by
-- enough votes, and is never deleted.
CREATE FUNCTION authz_guard_hold() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'A hold is never deleted.' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' THEN
            RAISE EXCEPTION 'A hold begins open.' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (OLD.id, OLD.agent, OLD."user", OLD.gateway, OLD.session, OLD.tool, OLD.tool_version,
        OLD.digest, OLD.shape, OLD.sealed, OLD.checks, OLD.codes, OLD.tier, OLD.is_restricted,
        OLD.is_money, OLD.is_grant, OLD.approvals, OLD.groups, OLD.agents, OLD.asked_of,
        OLD.made_at, OLD.expires_at)
       IS DISTINCT FROM
       (NEW.id, NEW.agent, NEW."user", NEW.gateway, NEW.session, NEW.tool, NEW.tool_version,
        NEW.digest, NEW.shape, NEW.sealed, NEW.checks, NEW.codes, NEW.tier, NEW.is_restricted,
        NEW.is_money, NEW.is_grant, NEW.approvals, NEW.groups, NEW.agents, NEW.asked_of,
        NEW.made_at, NEW.expires_at)
       OR NOT OLD.barred <@ NEW.barred THEN
        RAISE EXCEPTION 'What waits for a human does not change.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.state <> 'open' AND OLD.* IS DISTINCT FROM NEW.* THEN
        RAISE EXCEPTION 'This hold is % and stays so.', OLD.state
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.state = 'open' AND NEW.state = 'approved' AND NOT EXISTS (
            SELECT FROM authz_holdvote AS v WHERE v.hold_id = NEW.id
            GROUP BY v.digest HAVING count(*) >= NEW.approvals) THEN
        RAISE EXCEPTION 'Not enough people have approved this.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$body$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON authz_hold
    FOR EACH ROW EXECUTE FUNCTION authz_guard_hold();

-- A release follows from votes on its digest, never changes what it is for, and is used once.
CREATE FUNCTION authz_guard_release() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.used_by IS NULL AND EXISTS (
            SELECT FROM authz_hold AS h
            WHERE h.id = NEW.hold_id AND h.state = 'approved' AND h.agent = NEW.agent
              AND h.approvals <= (SELECT count(*) FROM authz_holdvote AS v
                                  WHERE v.hold_id = h.id AND v.digest = NEW.digest)) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.used_by IS NULL AND NEW.used_by IS NOT NULL
       AND (OLD.id, OLD.hold_id, OLD.agent, OLD.digest, OLD.made_at, OLD.until)
           IS NOT DISTINCT FROM
           (NEW.id, NEW.hold_id, NEW.agent, NEW.digest, NEW.made_at, NEW.until) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'A release follows from its votes, and is used once.'
        USING ERRCODE = 'integrity_constraint_violation';
END
$body$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON authz_release
    FOR EACH ROW EXECUTE FUNCTION authz_guard_release();

-- Who comes to answer for an agent while something of it waits may not approve that either.
CREATE FUNCTION authz_bar_owners() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    UPDATE authz_hold AS h
    SET barred = h.barred || ARRAY(
        SELECT p.pid FROM registry_person AS p
        WHERE p.id IN (NEW.owner_id, NEW.backup_owner_id) AND NOT p.pid = ANY (h.barred))
    WHERE h.agent = NEW.slug AND h.state = 'open';
    RETURN NULL;
END
$body$;
CREATE TRIGGER bar_owners AFTER UPDATE OF owner_id, backup_owner_id ON registry_agent
    FOR EACH ROW WHEN ((OLD.owner_id, OLD.backup_owner_id)
                       IS DISTINCT FROM (NEW.owner_id, NEW.backup_owner_id))
    EXECUTE FUNCTION authz_bar_owners();

-- Known domains stand in their agent's slice (authz_bump_carrier: 0005_flow.sql).
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON authz_knowndomain
    FOR EACH ROW EXECUTE FUNCTION authz_bump_carrier();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON authz_knowndomain
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every();

REVOKE ALL ON FUNCTION
    authz.lock_holds(text[]), authz.make_hold(jsonb, jsonb), authz.instant(timestamptz),
    authz.who_is_asked(text[], text, text[]), authz.check_release(jsonb),
    authz.take_release(jsonb), authz.settle_hold(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    authz.lock_holds(text[]), authz.make_hold(jsonb, jsonb), authz.instant(timestamptz),
    authz.who_is_asked(text[], text, text[]), authz.check_release(jsonb),
    authz.take_release(jsonb), authz.settle_hold(jsonb, jsonb) TO muster_web, muster_worker;
