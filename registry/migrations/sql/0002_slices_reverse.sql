DROP FUNCTION registry_bump_global, registry_bump_every, registry_bump_slug,
    registry_bump_agent_of_row, registry_bump_user_of_row, registry_bump_person,
    registry_bump_client, registry_bump_revoked, registry_bump_members CASCADE;
DROP FUNCTION registry_agent_key, registry_user_key, registry_client_key, registry_bump;
DROP SEQUENCE registry_revision;
