DROP TRIGGER guard ON authz_policy;
DROP FUNCTION authz_guard_policy(), authz_may_act_alone(), authz_says(text, text);
