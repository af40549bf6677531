DROP TRIGGER guard ON authz_delegationresult;
DROP FUNCTION authz_guard_result();
