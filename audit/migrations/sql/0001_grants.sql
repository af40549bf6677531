-- Who may do what. Reading is SELECT; writing is these functions and nothing else.

REVOKE ALL ON ALL TABLES IN SCHEMA audit FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;

GRANT USAGE ON SCHEMA audit TO muster_web, muster_worker, muster_beat;
GRANT SELECT ON audit.record, audit.payload, audit.wrap, audit.holder, audit.slice, audit.mark
    TO muster_web, muster_worker, muster_beat;
GRANT EXECUTE ON FUNCTION audit.append(jsonb), audit.keep_holder(text, bytea),
    audit.keep_slice(bytea) TO muster_web, muster_worker, muster_beat;
GRANT EXECUTE ON FUNCTION audit.set_mark(text) TO muster_web, muster_worker;
GRANT EXECUTE ON FUNCTION audit.make_next_partition(int) TO muster_worker;
