-- Roles, policies and relationships feed slices as well (registry/migrations/sql/0002_slices.sql).

-- A role's name stands in the slices of everyone who holds it.
CREATE FUNCTION authz_bump_holders() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    holders text[];
BEGIN
    SELECT array_agg(k) INTO holders FROM (
        SELECT registry_agent_key(m.agent_id) FROM authz_role_agents AS m WHERE m.role_id = NEW.id
        UNION ALL
        SELECT registry_user_key(m.person_id) FROM authz_role_people AS m WHERE m.role_id = NEW.id
    ) AS held (k);
    PERFORM registry_bump(VARIADIC coalesce(holders, '{}'));
    RETURN NULL;
END
$body$;

CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON authz_role_agents
    FOR EACH ROW EXECUTE FUNCTION registry_bump_agent_of_row();
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON authz_role_people
    FOR EACH ROW EXECUTE FUNCTION registry_bump_user_of_row();
CREATE TRIGGER slice_holders AFTER UPDATE ON authz_role
    FOR EACH ROW WHEN (OLD.slug IS DISTINCT FROM NEW.slug)
    EXECUTE FUNCTION authz_bump_holders();

DO $body$
DECLARE
    fed text;
BEGIN
    FOREACH fed IN ARRAY ARRAY['authz_role', 'authz_role_tools', 'authz_policy',
                               'authz_governedtool', 'authz_relationship'] LOOP
        EXECUTE format('CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_global()', fed);
    END LOOP;
    FOREACH fed IN ARRAY ARRAY['authz_role', 'authz_role_tools', 'authz_policy',
                               'authz_governedtool', 'authz_relationship', 'authz_role_agents',
                               'authz_role_people'] LOOP
        EXECUTE format('CREATE TRIGGER slice_emptied AFTER TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every()', fed);
    END LOOP;
END
$body$;
