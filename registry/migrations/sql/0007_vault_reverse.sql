DROP TRIGGER slice_emptied ON registry_credentialreference;
DROP TRIGGER slice_changed ON registry_credentialreference;
DROP TRIGGER slice ON registry_credentialreference;
