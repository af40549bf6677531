DROP TRIGGER clearance_by_another ON registry_clearance;
DROP FUNCTION registry_clearance_by_another();
