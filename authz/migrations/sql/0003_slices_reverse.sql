DROP FUNCTION authz_bump_holders CASCADE;
DO $body$
DECLARE
    fed text;
BEGIN
    FOREACH fed IN ARRAY ARRAY['authz_role', 'authz_role_tools', 'authz_policy',
                               'authz_governedtool', 'authz_relationship', 'authz_role_agents',
                               'authz_role_people'] LOOP
        EXECUTE format('DROP TRIGGER slice ON %I', fed);
        EXECUTE format('DROP TRIGGER slice_emptied ON %I', fed);
    END LOOP;
END
$body$;
