-- External decision points feed the slice `global` (registry/migrations/sql/0002_slices.sql).
CREATE TRIGGER slice AFTER INSERT OR DELETE OR UPDATE ON authz_externalpdp
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_global();
CREATE TRIGGER slice_emptied AFTER TRUNCATE ON authz_externalpdp
    FOR EACH STATEMENT EXECUTE FUNCTION registry_bump_every();
