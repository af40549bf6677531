DROP TRIGGER bar_owners ON registry_agent;
DROP FUNCTION authz_bar_owners, authz_guard_vote, authz_guard_hold, authz_guard_release CASCADE;
DROP FUNCTION authz.settle_hold(jsonb, jsonb), authz.take_release(jsonb),
    authz.check_release(jsonb), authz.make_hold(jsonb, jsonb), authz.lock_holds(text[]),
    authz.who_is_asked(text[], text, text[]), authz.instant(timestamptz);
