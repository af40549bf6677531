-- Nobody answers in a review of an agent that they answer for, and nobody approves in two roles.

CREATE FUNCTION lifecycle_review_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.answered_by_id IS NULL OR NEW.role = 'owner' THEN
        RETURN NEW;
    END IF;
    IF EXISTS (
        SELECT FROM lifecycle_review AS review
        JOIN registry_agent AS agent ON agent.id = review.agent_id
        WHERE review.id = NEW.review_id
          AND NEW.answered_by_id IN (agent.owner_id, agent.backup_owner_id)
    ) THEN
        RAISE EXCEPTION 'Nobody reviews an agent that they answer for.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'review_by_another';
    END IF;
    IF NEW.state = 'approved' AND EXISTS (
        SELECT FROM lifecycle_reviewstep AS other
        WHERE other.review_id = NEW.review_id AND other.id <> NEW.id
          AND other.state = 'approved' AND other.role <> NEW.role
          AND other.answered_by_id = NEW.answered_by_id
    ) THEN
        RAISE EXCEPTION 'Two hats on one head count once.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'review_two_heads';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER review_by_another BEFORE INSERT OR UPDATE
    ON lifecycle_reviewstep FOR EACH ROW EXECUTE FUNCTION lifecycle_review_by_another();
