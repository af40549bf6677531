-- What the services say of approvals given beforehand, said once more where nothing goes around it.
CREATE FUNCTION lifecycle_guard_preapproval() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'What was approved beforehand is ended, never deleted.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF (OLD.id, OLD.agent_id, OLD.role, OLD.tools, OLD.days, OLD.proposed_by_id,
            OLD.agreed_by_id, OLD.agreed_at)
           IS DISTINCT FROM
           (NEW.id, NEW.agent_id, NEW.role, NEW.tools, NEW.days, NEW.proposed_by_id,
            NEW.agreed_by_id, NEW.agreed_at) THEN
            RAISE EXCEPTION 'What was agreed to does not change. End it, and propose another.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF OLD.ended_at IS NOT NULL AND OLD.* IS DISTINCT FROM NEW.* THEN
            RAISE EXCEPTION 'It has ended and stays so.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.ended_at IS NOT NULL OR NOT EXISTS (
            SELECT FROM registry_proposedchange AS change
            JOIN registry_agent AS agent ON agent.id = NEW.agent_id
            WHERE change.kind = 'grant.beforehand' AND change.state = 'agreed'
              AND change.target = agent.slug
              AND change.after ->> 'role' = NEW.role
              AND change.after -> 'tools' = to_jsonb(NEW.tools)
              AND change.after -> 'days' = to_jsonb(NEW.days)
              AND change.proposed_by_id = NEW.proposed_by_id
              AND change.decided_by_id = NEW.agreed_by_id) THEN
        RAISE EXCEPTION 'A second person must agree to it first.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON lifecycle_preapproval
    FOR EACH ROW EXECUTE FUNCTION lifecycle_guard_preapproval();
