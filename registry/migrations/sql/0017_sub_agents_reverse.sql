DROP TRIGGER slice ON registry_subagent;
DROP TRIGGER slice_emptied ON registry_subagent;
