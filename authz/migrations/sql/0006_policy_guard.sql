-- What the services say of policies, said once more where no ORM, fixture or shell goes around it.

-- What a policy does by itself, without its comments and texts. The parser of the services finds
-- the same: a statement begins with its effect and a bracket.
CREATE FUNCTION authz_says(policy text, effect text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $body$
    SELECT regexp_replace(policy, '"(\\.|[^"\\])*"|//[^\n]*', ' ', 'g')
        ~ ('\m' || effect || '\M\s*\(')
$body$;

-- One person alone, only until the first policy was ever in force: in a transaction that began
-- before that, since a whole first set comes in one.
CREATE FUNCTION authz_may_act_alone() RETURNS boolean LANGUAGE plpgsql STABLE AS $body$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM audit.mark
        WHERE mark.name = 'first_policy' AND mark.at < transaction_timestamp());
END
$body$;

CREATE FUNCTION authz_guard_policy() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    uid constant text := CASE WHEN TG_OP = 'DELETE' THEN OLD.slug || '@v' || OLD.version
                              ELSE NEW.slug || '@v' || NEW.version END;
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state = 'draft' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'What was proposed is never deleted, so % stays.', uid
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state <> 'draft' AND
       (OLD.slug, OLD.version, OLD.text, OLD.log_only, OLD.cases)
       IS DISTINCT FROM (NEW.slug, NEW.version, NEW.text, NEW.log_only, NEW.cases) THEN
        RAISE EXCEPTION '% is no draft any more, so it does not change.', uid
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state IS DISTINCT FROM NEW.state AND NOT
       coalesce(NEW.state = ANY (CASE OLD.state
           WHEN 'draft' THEN ARRAY['proposed', 'active', 'retired']
           WHEN 'proposed' THEN ARRAY['active', 'retired']
           WHEN 'active' THEN ARRAY['superseded', 'retired'] END), false) THEN
        RAISE EXCEPTION '% is % and cannot become %.', uid, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.state = 'active' AND NOT NEW.log_only AND authz_says(NEW.text, 'permit')
       AND (TG_OP = 'INSERT' OR OLD.state <> 'active')
       AND NOT authz_may_act_alone() AND NOT EXISTS (
           SELECT FROM registry_proposedchange AS change
           WHERE change.kind = 'policy.activate' AND change.state = 'agreed'
             AND change.target = NEW.slug AND change.after ->> 'id' = uid
             AND change.after ->> 'text' = NEW.text
             AND change.decided_by_id = NEW.agreed_by_id) THEN
        RAISE EXCEPTION '% permits something: a second person must agree to it first.', uid
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state = 'active' AND NEW.state <> 'active'
       AND NOT OLD.log_only AND authz_says(OLD.text, 'forbid')
       AND NOT authz_may_act_alone() AND NOT EXISTS (
           SELECT FROM registry_proposedchange AS change
           WHERE change.kind IN ('policy.retire', 'policy.activate') AND change.state = 'agreed'
             AND change.target = OLD.slug AND change.decided_at >= OLD.activated_at) THEN
        RAISE EXCEPTION '% forbids something: a second person must agree that it ends.', uid
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON authz_policy
    FOR EACH ROW EXECUTE FUNCTION authz_guard_policy();
