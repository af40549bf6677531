-- What the database itself says of emergency access, by its own time.

CREATE FUNCTION lifecycle_in_emergency(who bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $body$
    SELECT EXISTS (
        SELECT FROM lifecycle_breakglass
        WHERE person_id = who AND slot = 1 AND ended_at IS NULL
          AND expires_at > clock_timestamp()
    )
$body$;

-- Whoever has it agrees to nothing, approves nothing and clears nothing, in any session of theirs.
CREATE FUNCTION lifecycle_no_emergency() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
DECLARE
    row jsonb := to_jsonb(NEW);
    who bigint := (row ->> TG_ARGV[0])::bigint;
BEGIN
    IF who IS NOT NULL AND (TG_NARGS < 2 OR row ->> 'state' = TG_ARGV[1])
       AND lifecycle_in_emergency(who) THEN
        RAISE EXCEPTION 'Under emergency access nobody approves anything.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_emergency';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER no_emergency BEFORE INSERT OR UPDATE ON registry_proposedchange
    FOR EACH ROW EXECUTE FUNCTION lifecycle_no_emergency('decided_by_id', 'agreed');
CREATE TRIGGER no_emergency BEFORE INSERT OR UPDATE ON lifecycle_reviewstep
    FOR EACH ROW EXECUTE FUNCTION lifecycle_no_emergency('answered_by_id', 'approved');
CREATE TRIGGER no_emergency BEFORE INSERT ON authz_holdvote
    FOR EACH ROW EXECUTE FUNCTION lifecycle_no_emergency('person_id');
CREATE TRIGGER no_emergency BEFORE INSERT ON registry_clearance
    FOR EACH ROW EXECUTE FUNCTION lifecycle_no_emergency('by_id');

-- A use says one thing from its beginning to its end, is never deleted, and is reviewed once.
CREATE FUNCTION lifecycle_guard_break_glass() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.slot = 1 AND NEW.expires_at <= clock_timestamp() + interval '60 minutes' THEN
            RETURN NEW;
        END IF;
    ELSIF TG_OP = 'UPDATE' AND OLD.slot = 1
       AND (OLD.id, OLD.person_id, OLD.second_id, OLD.code_id, OLD.reason, OLD.opened_at,
            OLD.expires_at)
           IS NOT DISTINCT FROM
           (NEW.id, NEW.person_id, NEW.second_id, NEW.code_id, NEW.reason, NEW.opened_at,
            NEW.expires_at)
       AND (OLD.ended_at IS NULL OR OLD.ended_at IS NOT DISTINCT FROM NEW.ended_at)
       AND (NEW.closed_by_id IS NULL OR NOT lifecycle_in_emergency(NEW.closed_by_id)) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'Emergency access stays as it was, until someone else has reviewed it.'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'break_glass_stays';
END
$body$;

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON lifecycle_breakglass
    FOR EACH ROW EXECUTE FUNCTION lifecycle_guard_break_glass();

-- A sealed code is used once, and one that was used stays.
CREATE FUNCTION lifecycle_guard_sealed_code() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    IF OLD.used_at IS NULL AND (TG_OP = 'DELETE' OR
       (OLD.id, OLD.digest, OLD.made_by_id, OLD.agreed_by_id, OLD.made_at)
       IS NOT DISTINCT FROM
       (NEW.id, NEW.digest, NEW.made_by_id, NEW.agreed_by_id, NEW.made_at)) THEN
        RETURN COALESCE(NEW, OLD);
    END IF;
    RAISE EXCEPTION 'A sealed code works once.'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'sealed_code_once';
END
$body$;

CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON lifecycle_sealedcode
    FOR EACH ROW EXECUTE FUNCTION lifecycle_guard_sealed_code();
