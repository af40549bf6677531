-- Nobody clears an agent that they answer for, whatever asks for it.

CREATE FUNCTION registry_clearance_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.basis IN ('security', 'dpo', 'source_owner') AND EXISTS (
        SELECT FROM registry_agent AS agent
        WHERE agent.id = NEW.agent_id
          AND NEW.by_id IN (agent.owner_id, agent.backup_owner_id)
    ) THEN
        RAISE EXCEPTION 'Nobody clears an agent that they answer for.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'clearance_by_another';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER clearance_by_another BEFORE INSERT OR UPDATE OF agent_id, basis, by_id
    ON registry_clearance FOR EACH ROW EXECUTE FUNCTION registry_clearance_by_another();
