DROP TRIGGER guard ON authz_toxiccombination;
DROP FUNCTION authz_guard_toxic();
DROP TRIGGER guard ON authz_outputtier;
DROP FUNCTION authz_guard_output();
DROP TRIGGER slice ON authz_outputtier;
DROP TRIGGER slice_emptied ON authz_outputtier;
