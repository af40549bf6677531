DROP FUNCTION audit.raise_alarm(text, jsonb), audit.publish_key(text, text, text),
    audit.seal(bigint, jsonb, jsonb, bytea, text, pg_snapshot),
    audit.unsealed(pg_snapshot, xid8, int);
DROP TABLE audit.alarm, audit.sealing_key, audit.checkpoint, audit.node, audit.leaf_index;
DROP INDEX audit.record_xid_idx;
REVOKE USAGE ON SCHEMA audit FROM muster_sealer;
