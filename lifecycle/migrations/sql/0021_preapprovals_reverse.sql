DROP TRIGGER guard ON lifecycle_preapproval;
DROP FUNCTION lifecycle_guard_preapproval();
