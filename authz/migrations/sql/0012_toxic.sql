-- What the services say of toxic combinations, said once more where no ORM, fixture or shell goes
-- around it; and what makes the outputs of an agent count as more.

CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON authz_outputtier
    FOR EACH ROW EXECUTE FUNCTION registry_bump_agent_of_row();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON authz_outputtier
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every();

-- Adding a combination, or having it found more often, narrows what agents may do. Everything
-- else widens it and needs the agreement of a second person to exactly this. The version stands
-- in what is agreed to, so that no agreement counts twice.
CREATE FUNCTION authz_guard_toxic() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    tiers constant text[] := '{public,internal,confidential,restricted}';
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.slug <> OLD.slug THEN
        RAISE EXCEPTION 'The combination % keeps its name.', OLD.slug
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT OLD.is_active OR authz_may_act_alone() THEN
        RETURN coalesce(NEW, OLD);
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.is_active
       AND NEW.categories::text[] <@ OLD.categories::text[]
       AND NEW.effects::text[] <@ OLD.effects::text[]
       AND array_position(tiers, NEW.implied_tier::text)
           >= array_position(tiers, OLD.implied_tier::text)
       AND (OLD.only_listed OR NOT NEW.only_listed) THEN
        RETURN NEW;
    END IF;
    IF NOT EXISTS (
        SELECT FROM registry_proposedchange AS change
        WHERE change.kind = 'toxic' AND change.state = 'agreed' AND change.target = OLD.slug
          AND (change.before ->> 'version')::int = OLD.version
          AND CASE WHEN TG_OP = 'DELETE' THEN change.after @> '{"removed": true}'
              ELSE change.after @> jsonb_build_object(
                  'categories', to_jsonb(NEW.categories), 'effects', to_jsonb(NEW.effects),
                  'implied_tier', NEW.implied_tier, 'only_listed', NEW.only_listed,
                  'is_active', NEW.is_active) AND NEW.version > OLD.version END) THEN
        RAISE EXCEPTION 'The toxic combination % would guard less: a second person must agree to it first.',
            OLD.slug USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$body$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON authz_toxiccombination
    FOR EACH ROW EXECUTE FUNCTION authz_guard_toxic();

-- The outputs of an agent count as more by one person's word, as less by two.
CREATE FUNCTION authz_guard_output() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    tiers constant text[] := '{public,internal,confidential,restricted}';
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.agent_id, NEW.combination, NEW.categories, NEW.effects)
           IS NOT DISTINCT FROM (OLD.agent_id, OLD.combination, OLD.categories, OLD.effects)
       AND array_position(tiers, NEW.tier::text) >= array_position(tiers, OLD.tier::text) THEN
        RETURN NEW;
    END IF;
    IF NOT EXISTS (
        SELECT FROM registry_proposedchange AS change
        WHERE change.kind = 'toxic.output' AND change.state = 'agreed'
          AND change.target = OLD.combination || '/' || (
              SELECT a.slug FROM registry_agent AS a WHERE a.id = OLD.agent_id)
          AND change.decided_at >= OLD.set_at) THEN
        RAISE EXCEPTION 'What the agent puts out would count as less: a second person must agree to it first.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$body$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON authz_outputtier
    FOR EACH ROW EXECUTE FUNCTION authz_guard_output();
