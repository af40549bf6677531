-- What became of an answer is what it was: it is written once, and stays.
CREATE FUNCTION authz_guard_result() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION 'What became of an answer does not change.'
        USING ERRCODE = 'integrity_constraint_violation';
END
$body$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON authz_delegationresult
    FOR EACH ROW EXECUTE FUNCTION authz_guard_result();
