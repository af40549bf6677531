-- Revisions of the facts that decisions read. Bumped here, in the transaction of the change, so
-- that no form, command, shell or fixture can forget.
--
-- Revisions come from one sequence and never from counting: what is rolled back or truncated
-- leaves no number behind that could be given to other facts. Only equality is ever asked.

CREATE SEQUENCE registry_revision;

CREATE FUNCTION registry_bump(VARIADIC keys text[]) RETURNS void
LANGUAGE sql AS $body$
    -- In key order, so that two transactions wait for each other instead of deadlocking.
    INSERT INTO registry_slice (key, revision)
    SELECT k, nextval('registry_revision')
    FROM (SELECT DISTINCT k FROM unnest(keys) AS k WHERE k IS NOT NULL ORDER BY k) AS wanted
    ON CONFLICT (key) DO UPDATE SET revision = nextval('registry_revision');
$body$;

-- Keys from row ids; NULL where the row is gone, which nobody bumps.
CREATE FUNCTION registry_agent_key(id bigint) RETURNS text LANGUAGE sql STABLE AS
$body$ SELECT 'agent:' || a.slug FROM registry_agent AS a WHERE a.id = registry_agent_key.id $body$;

CREATE FUNCTION registry_user_key(id bigint) RETURNS text LANGUAGE sql STABLE AS
$body$ SELECT 'user:' || p.pid FROM registry_person AS p WHERE p.id = registry_user_key.id $body$;

CREATE FUNCTION registry_client_key(id bigint) RETURNS text LANGUAGE sql STABLE AS $body$
    SELECT coalesce('agent:' || a.slug, 'gateway:' || g.slug)
    FROM registry_client AS c
    LEFT JOIN registry_agent AS a ON a.id = c.agent_id
    LEFT JOIN registry_gateway AS g ON g.id = c.gateway_id
    WHERE c.id = registry_client_key.id
$body$;

CREATE FUNCTION registry_bump_global() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM registry_bump('global');
    RETURN NULL;
END
$body$;

-- TRUNCATE tells no rows: every slice that there is counts as changed.
CREATE FUNCTION registry_bump_every() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM registry_bump('global');
    UPDATE registry_slice SET revision = nextval('registry_revision') WHERE key <> 'global';
    RETURN NULL;
END
$body$;

CREATE FUNCTION registry_bump_slug() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM registry_bump(TG_ARGV[0] || OLD.slug, TG_ARGV[0] || NEW.slug);
    RETURN NULL;
END
$body$;

CREATE FUNCTION registry_bump_agent_of_row() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM registry_bump(registry_agent_key(OLD.agent_id), registry_agent_key(NEW.agent_id));
    RETURN NULL;
END
$body$;

CREATE FUNCTION registry_bump_user_of_row() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM registry_bump(registry_user_key(OLD.person_id), registry_user_key(NEW.person_id));
    RETURN NULL;
END
$body$;

-- The person, and every agent that they own: an agent's slice holds its owner's employment.
CREATE FUNCTION registry_bump_person() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    owned text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg('agent:' || a.slug) INTO owned FROM registry_agent AS a
        WHERE a.owner_id = NEW.id AND (OLD.pid, OLD.employment, OLD.zone, OLD.is_active)
              IS DISTINCT FROM (NEW.pid, NEW.employment, NEW.zone, NEW.is_active);
    END IF;
    PERFORM registry_bump(VARIADIC
        ARRAY['user:' || OLD.pid, 'user:' || NEW.pid] || coalesce(owned, '{}'));
    RETURN NULL;
END
$body$;

-- A client's row names its agent or gateway itself; a deleted one can still be told.
CREATE FUNCTION registry_bump_client() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM registry_bump(
        registry_agent_key(OLD.agent_id), registry_agent_key(NEW.agent_id),
        (SELECT 'gateway:' || g.slug FROM registry_gateway AS g WHERE g.id = OLD.gateway_id),
        (SELECT 'gateway:' || g.slug FROM registry_gateway AS g WHERE g.id = NEW.gateway_id));
    RETURN NULL;
END
$body$;

CREATE FUNCTION registry_bump_revoked() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM registry_bump(registry_client_key(OLD.client_id), registry_client_key(NEW.client_id));
    RETURN NULL;
END
$body$;

CREATE FUNCTION registry_bump_members() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    members text[];
BEGIN
    SELECT array_agg('user:' || p.pid) INTO members
    FROM registry_person_groups AS m JOIN registry_person AS p ON p.id = m.person_id
    WHERE m.group_id = NEW.id;
    PERFORM registry_bump(VARIADIC coalesce(members, '{}'));
    RETURN NULL;
END
$body$;

-- Which table feeds which slice.

CREATE TRIGGER slice AFTER INSERT OR DELETE ON registry_agent
    FOR EACH ROW EXECUTE FUNCTION registry_bump_slug('agent:');
CREATE TRIGGER slice_changed AFTER UPDATE ON registry_agent
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION registry_bump_slug('agent:');
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON registry_allowlistentry
    FOR EACH ROW EXECUTE FUNCTION registry_bump_agent_of_row();

CREATE TRIGGER slice AFTER INSERT OR DELETE ON registry_gateway
    FOR EACH ROW EXECUTE FUNCTION registry_bump_slug('gateway:');
CREATE TRIGGER slice_changed AFTER UPDATE ON registry_gateway
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION registry_bump_slug('gateway:');
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON registry_client
    FOR EACH ROW EXECUTE FUNCTION registry_bump_client();
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON registry_revokedtoken
    FOR EACH ROW EXECUTE FUNCTION registry_bump_revoked();

CREATE TRIGGER slice AFTER INSERT OR DELETE ON registry_person
    FOR EACH ROW EXECUTE FUNCTION registry_bump_person();
-- Signing in writes last_login and changes nothing that a decision reads.
CREATE TRIGGER slice_changed AFTER UPDATE ON registry_person
    FOR EACH ROW WHEN (
        (OLD.pid, OLD.name, OLD.email, OLD.employment, OLD.last_day, OLD.zone, OLD.department,
         OLD.manager_id, OLD.attributes, OLD.is_active)
        IS DISTINCT FROM
        (NEW.pid, NEW.name, NEW.email, NEW.employment, NEW.last_day, NEW.zone, NEW.department,
         NEW.manager_id, NEW.attributes, NEW.is_active))
    EXECUTE FUNCTION registry_bump_person();
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON registry_person_groups
    FOR EACH ROW EXECUTE FUNCTION registry_bump_user_of_row();
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON registry_externalidentity
    FOR EACH ROW EXECUTE FUNCTION registry_bump_user_of_row();
CREATE TRIGGER slice AFTER UPDATE ON auth_group
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name)
    EXECUTE FUNCTION registry_bump_members();

DO $body$
DECLARE
    fed text;
BEGIN
    FOREACH fed IN ARRAY ARRAY['registry_tool', 'registry_toolaccess', 'registry_system',
                               'registry_resource', 'registry_resourcetype',
                               'registry_resourceentity'] LOOP
        EXECUTE format('CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_global()', fed);
    END LOOP;
    FOREACH fed IN ARRAY ARRAY['registry_tool', 'registry_toolaccess', 'registry_system',
                               'registry_resource', 'registry_resourcetype',
                               'registry_resourceentity', 'registry_agent',
                               'registry_allowlistentry', 'registry_gateway', 'registry_client',
                               'registry_revokedtoken', 'registry_person',
                               'registry_person_groups', 'registry_externalidentity'] LOOP
        EXECUTE format('CREATE TRIGGER slice_emptied AFTER TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every()', fed);
    END LOOP;
END
$body$;
