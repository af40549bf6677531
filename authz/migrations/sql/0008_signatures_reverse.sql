DROP TRIGGER slice ON authz_signature;
DROP TRIGGER slice_emptied ON authz_signature;
