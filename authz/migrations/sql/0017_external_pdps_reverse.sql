DROP TRIGGER slice ON authz_externalpdp;
DROP TRIGGER slice_emptied ON authz_externalpdp;
