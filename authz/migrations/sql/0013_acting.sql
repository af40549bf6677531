-- Grants and delegations: what feeds which slice, what may be written, and that an end reaches
-- everything below it. Said here so that no form, command, shell or fixture goes around it.

-- A grant stands in its person's slice; a delegation is the slice of its chain.
CREATE FUNCTION authz_bump_chain() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM registry_bump('chain:' || NEW.id);
    RETURN NULL;
END
$body$;

CREATE TRIGGER slice AFTER INSERT OR UPDATE ON authz_grant
    FOR EACH ROW EXECUTE FUNCTION registry_bump_user_of_row();
CREATE TRIGGER slice AFTER INSERT OR UPDATE ON authz_delegation
    FOR EACH ROW EXECUTE FUNCTION authz_bump_chain();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON authz_grant
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON authz_delegation
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every();

CREATE FUNCTION authz_are_tools(tools jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $body$
    SELECT jsonb_typeof(tools) = 'object' AND tools <> '{}' AND NOT EXISTS (
        SELECT FROM jsonb_each(CASE jsonb_typeof(tools) WHEN 'object' THEN tools ELSE '{}' END)
            AS named (tool, narrowing)
        WHERE jsonb_typeof(named.narrowing) <> 'object')
$body$;

-- A grant is its person's own word, or was agreed to for a group; it names tools that the agent
-- has, in a pattern that acts for people. It ends once and is never deleted.
CREATE FUNCTION authz_guard_grant() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
DECLARE
    theirs registry_person;
    its    registry_agent;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'A grant is never deleted. End it.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF (OLD.id, OLD.person_id, OLD.agent_id, OLD.tools, OLD.way, OLD.given_at, OLD.until)
           IS DISTINCT FROM
           (NEW.id, NEW.person_id, NEW.agent_id, NEW.tools, NEW.way, NEW.given_at, NEW.until) THEN
            RAISE EXCEPTION 'What was consented to does not change. End it, and ask again.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF OLD.ended_at IS NOT NULL AND OLD.* IS DISTINCT FROM NEW.* THEN
            RAISE EXCEPTION 'This grant has ended and stays so.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    SELECT p.* INTO theirs FROM registry_person AS p WHERE p.id = NEW.person_id FOR SHARE;
    SELECT a.* INTO its FROM registry_agent AS a WHERE a.id = NEW.agent_id FOR SHARE;
    IF (theirs.is_active AND theirs.employment <> 'left') IS NOT TRUE THEN
        RAISE EXCEPTION 'Who has left lets nobody act for them.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF (its.pattern IN ('impersonation', 'hybrid')) IS NOT TRUE THEN
        RAISE EXCEPTION 'The agent % acts for nobody: its identity pattern is %.', its.slug,
            its.pattern USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF authz_are_tools(NEW.tools) IS NOT TRUE OR EXISTS (
            SELECT FROM jsonb_object_keys(NEW.tools) AS named (tool)
            WHERE NOT EXISTS (
                SELECT FROM registry_allowlistentry AS e JOIN registry_tool AS t ON t.id = e.tool_id
                WHERE e.agent_id = NEW.agent_id AND t.name = named.tool)) THEN
        RAISE EXCEPTION 'A grant names tools of the agent''s row, each with what narrows it.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.ended_at IS NOT NULL OR NEW.until > NEW.given_at + interval '366 days' THEN
        RAISE EXCEPTION 'A grant begins live, and lasts a year at the most.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$body$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON authz_grant
    FOR EACH ROW EXECUTE FUNCTION authz_guard_grant();

-- A link is no wider and no longer than what it rests on, which is live when it is made. It ends
-- once and is never deleted.
CREATE FUNCTION authz_guard_delegation() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
DECLARE
    above authz_delegation;
    given authz_grant;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'A delegation is never deleted. End it.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF (OLD.id, OLD.parent_id, OLD.depth, OLD.giver_id, OLD.receiver_id, OLD.grant_id,
            OLD.tools, OLD.session, OLD.read_tier, OLD.read_untrusted, OLD.read_categories,
            OLD.given_at, OLD.until)
           IS DISTINCT FROM
           (NEW.id, NEW.parent_id, NEW.depth, NEW.giver_id, NEW.receiver_id, NEW.grant_id,
            NEW.tools, NEW.session, NEW.read_tier, NEW.read_untrusted, NEW.read_categories,
            NEW.given_at, NEW.until) THEN
            RAISE EXCEPTION 'What was handed over does not change. End it, and hand over again.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF OLD.ended_at IS NOT NULL AND OLD.* IS DISTINCT FROM NEW.* THEN
            RAISE EXCEPTION 'This delegation has ended and stays so.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF authz_are_tools(NEW.tools) IS NOT TRUE OR NEW.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'A delegation begins live, and names tools, each with what narrows it.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.grant_id IS NOT NULL THEN
        SELECT g.* INTO given FROM authz_grant AS g WHERE g.id = NEW.grant_id FOR SHARE;
        IF (given.ended_at IS NULL AND given.until >= NEW.until
            AND NOT EXISTS (SELECT FROM jsonb_object_keys(NEW.tools) AS named (tool)
                            WHERE NOT given.tools ? named.tool)) IS NOT TRUE THEN
            RAISE EXCEPTION 'It would reach beyond the grant that it rests on.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    IF NEW.parent_id IS NULL THEN
        IF given.id IS NOT NULL AND given.agent_id IS DISTINCT FROM NEW.giver_id THEN
            RAISE EXCEPTION 'Only the agent that has the grant hands it on.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    SELECT d.* INTO above FROM authz_delegation AS d WHERE d.id = NEW.parent_id FOR SHARE;
    IF (above.ended_at IS NULL AND above.until >= NEW.until AND above.depth + 1 = NEW.depth
        AND above.receiver_id = NEW.giver_id AND above.grant_id IS NOT DISTINCT FROM NEW.grant_id
        AND NOT EXISTS (SELECT FROM jsonb_object_keys(NEW.tools) AS named (tool)
                        WHERE NOT above.tools ? named.tool)) IS NOT TRUE THEN
        RAISE EXCEPTION 'It would reach beyond the delegation that it rests on.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$body$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON authz_delegation
    FOR EACH ROW EXECUTE FUNCTION authz_guard_delegation();

-- Ending a grant or a link ends everything below it, in the same transaction. Who makes a link
-- holds what it rests on FOR SHARE, so that none is made beside an end and outlives it.
CREATE FUNCTION authz_end_below() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_TABLE_NAME = 'authz_grant' THEN
        UPDATE authz_delegation SET ended_at = NEW.ended_at, end_cause = 'above'
        WHERE grant_id = NEW.id AND parent_id IS NULL AND ended_at IS NULL;
    ELSE
        UPDATE authz_delegation SET ended_at = NEW.ended_at, end_cause = 'above'
        WHERE parent_id = NEW.id AND ended_at IS NULL;
    END IF;
    RETURN NULL;
END
$body$;
CREATE TRIGGER ends_below AFTER UPDATE ON authz_grant
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL)
    EXECUTE FUNCTION authz_end_below();
CREATE TRIGGER ends_below AFTER UPDATE ON authz_delegation
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL)
    EXECUTE FUNCTION authz_end_below();
