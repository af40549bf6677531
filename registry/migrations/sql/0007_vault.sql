-- An agent's slice holds which credentials it may read. Reading one changes nothing of that.

CREATE TRIGGER slice AFTER INSERT OR DELETE ON registry_credentialreference
    FOR EACH ROW EXECUTE FUNCTION registry_bump_agent_of_row();
CREATE TRIGGER slice_changed AFTER UPDATE ON registry_credentialreference
    FOR EACH ROW WHEN ((OLD.agent_id, OLD.reference, OLD.state)
                       IS DISTINCT FROM (NEW.agent_id, NEW.reference, NEW.state))
    EXECUTE FUNCTION registry_bump_agent_of_row();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON registry_credentialreference
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every();
