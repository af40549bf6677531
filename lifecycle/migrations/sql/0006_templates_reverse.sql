DROP TRIGGER guard ON lifecycle_template;
DROP FUNCTION lifecycle_guard_template();
