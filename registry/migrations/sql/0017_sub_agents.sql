-- Whom an agent may hand over to stands in its slice. It names another agent by its row, which
-- keeps its name, so that nothing of the other one's row needs to bump it.
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON registry_subagent
    FOR EACH ROW EXECUTE FUNCTION registry_bump_agent_of_row();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON registry_subagent
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every();

-- What an agent's slice says has grown, so that nothing kept of before counts as current.
UPDATE registry_slice SET revision = nextval('registry_revision') WHERE key LIKE 'agent:%';
