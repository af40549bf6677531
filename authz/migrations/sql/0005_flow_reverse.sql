DROP TRIGGER slice ON authz_toxiccombination;
DROP TRIGGER slice_emptied ON authz_toxiccombination;
DROP FUNCTION authz_bump_session, authz_bump_carrier, authz_only_rises CASCADE;
DROP FUNCTION authz.raise_run(text, text, jsonb), authz.count_call(jsonb);
