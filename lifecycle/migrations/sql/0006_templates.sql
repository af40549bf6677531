-- What the services say of templates, said once more where no ORM, fixture or shell goes around it.
CREATE FUNCTION lifecycle_guard_template() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    uid constant text := CASE WHEN TG_OP = 'DELETE' THEN OLD.slug || '@v' || OLD.version
                              ELSE NEW.slug || '@v' || NEW.version END;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'A template is retired, never deleted, so % stays.', uid
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND
       (OLD.slug, OLD.version, OLD.name, OLD.summary, OLD.content, OLD.approved_tier, OLD.planted,
        OLD.proposed_by_id)
       IS DISTINCT FROM
       (NEW.slug, NEW.version, NEW.name, NEW.summary, NEW.content, NEW.approved_tier, NEW.planted,
        NEW.proposed_by_id) THEN
        RAISE EXCEPTION '% does not change. Propose another version.', uid
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state IS DISTINCT FROM NEW.state AND NOT
       coalesce(NEW.state = ANY (CASE OLD.state
           WHEN 'proposed' THEN ARRAY['active', 'retired']
           WHEN 'active' THEN ARRAY['superseded', 'retired'] END), false) THEN
        RAISE EXCEPTION '% is % and cannot become %.', uid, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    -- What Muster comes with is planted by whoever owns the table: the migrator, at no run time.
    IF TG_OP = 'INSERT' AND NEW.planted AND current_user =
       (SELECT tableowner FROM pg_tables WHERE schemaname = TG_TABLE_SCHEMA
                                           AND tablename = TG_TABLE_NAME) THEN
        RETURN NEW;
    END IF;
    IF NEW.planted AND TG_OP = 'INSERT' THEN
        RAISE EXCEPTION '% is not what Muster comes with. Propose it.', uid
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.state = 'active' AND (TG_OP = 'INSERT' OR OLD.state <> 'active') AND NOT EXISTS (
           SELECT FROM registry_proposedchange AS change
           WHERE change.kind = 'template.activate' AND change.state = 'agreed'
             AND change.target = NEW.slug AND change.after ->> 'id' = uid
             AND change.after -> 'content' = NEW.content
             AND change.after ->> 'approved_tier' = NEW.approved_tier
             AND change.decided_by_id = NEW.agreed_by_id) THEN
        RAISE EXCEPTION '% clears agents in advance: a second person must agree to it first.', uid
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON lifecycle_template
    FOR EACH ROW EXECUTE FUNCTION lifecycle_guard_template();
