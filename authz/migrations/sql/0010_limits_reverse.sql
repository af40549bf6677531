DROP TRIGGER free_money ON public.authz_hold;
DROP TRIGGER slice ON public.authz_currencyrate;
DROP TRIGGER slice_emptied ON public.authz_currencyrate;
DROP FUNCTION authz.decide_batch(jsonb), authz.windows(timestamptz),
    authz.window_end(timestamptz, int), authz.stop_agent(text, text),
    authz.page_once(text, text, text, text, jsonb), authz.revisions_of(text[]),
    authz.refuse_over(text, text, text, int, bigint, bigint, bigint, timestamptz, boolean),
    authz.told_of(text[], int[], int[], bigint[], bigint[], jsonb),
    authz.weigh_sums(jsonb, timestamptz), authz.count_denials(text[], bigint[], bigint),
    authz.money_of_approval(jsonb, text), authz.move_spent(text, bigint, bigint, bigint),
    authz.lock_reservation(uuid), authz.free_reservation(uuid), authz.free_money_of_hold(),
    authz.time_out_reservation(uuid, timestamptz), authz.settle(uuid, text, bigint);
