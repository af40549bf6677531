-- The tree over the record, its signed checkpoints, and what only the sealer may call.
-- Run by the migrator, as muster_audit.

-- What has been written since the last pass is found by its transaction.
CREATE INDEX ON audit.record (xid);

-- Leaves of the tree, dense from 0. `at` is the entry's own.
CREATE TABLE audit.leaf_index (
    index  bigint      PRIMARY KEY CHECK (index >= 0),
    record uuid        NOT NULL UNIQUE,
    at     timestamptz NOT NULL,
    leaf   bytea       NOT NULL CHECK (octet_length(leaf) = 32)
);

-- Complete subtrees of 256 leaves, of 256 of those, and so on: what lies between is hashed anew.
CREATE TABLE audit.node (
    level int    NOT NULL CHECK (level > 0 AND level % 8 = 0),
    index bigint NOT NULL CHECK (index >= 0),
    hash  bytea  NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, index)
);

-- All that the snapshot `seen` sees is sealed by then; NULL while what was there before the
-- first pass, or came with a restore, is not all sealed yet. `system` is the database cluster
-- that counts the transactions in it.
CREATE TABLE audit.checkpoint (
    size   bigint      PRIMARY KEY CHECK (size > 0),
    root   bytea       NOT NULL CHECK (octet_length(root) = 32),
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    note   text        NOT NULL,
    seen   pg_snapshot,
    system bigint      NOT NULL
);

-- Public keys, each with a note in which those who vouch for it have signed it.
CREATE TABLE audit.sealing_key (
    vkey        text COLLATE "C" PRIMARY KEY,
    kind        text COLLATE "C" NOT NULL CHECK (kind IN ('checkpoint', 'receipt')),
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    certificate text NOT NULL
);

-- Why the sealer signs nothing. The newest row counts; without a cause, it signs again.
CREATE TABLE audit.alarm (
    number bigint      PRIMARY KEY CHECK (number >= 0),
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    cause  text COLLATE "C" NOT NULL,
    detail jsonb       NOT NULL
);

DO $body$
DECLARE
    relation regclass;
BEGIN
    FOREACH relation IN ARRAY ARRAY['audit.leaf_index', 'audit.node', 'audit.checkpoint',
                                    'audit.sealing_key', 'audit.alarm']::regclass[]
    LOOP
        EXECUTE format('CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON %s
                        FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_change', relation);
        PERFORM audit.protect(relation);
    END LOOP;
END
$body$;

-- Committed entries that are not in the tree, in the order in which they go into it, from
-- transaction `after` on. What one sees is settled: nothing commits any more with a transaction
-- that a snapshot already sees. Without `seen`, every entry is looked at: transactions of
-- another cluster count for nothing here.
CREATE FUNCTION audit.unsealed(seen pg_snapshot, after xid8, most int)
RETURNS TABLE (record uuid, at timestamptz, xid xid8, leaf bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $body$
BEGIN
    IF seen IS NULL THEN
        RETURN QUERY
        SELECT r.id, r.at, r.xid, r.leaf FROM audit.record AS r
        WHERE r.xid >= after
        AND NOT EXISTS (SELECT FROM audit.leaf_index AS l WHERE l.record = r.id)
        ORDER BY r.xid, r.at, r.id LIMIT most;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT u.id, u.at, u.xid, u.leaf
    FROM (
        -- Those that were under way when the pass before looked.
        (SELECT r.id, r.at, r.xid, r.leaf FROM audit.record AS r
         WHERE r.xid = ANY (ARRAY(SELECT pg_snapshot_xip(seen))) AND r.xid >= after
         AND NOT EXISTS (SELECT FROM audit.leaf_index AS l WHERE l.record = r.id)
         ORDER BY r.xid, r.at, r.id LIMIT most)
        UNION ALL
        -- Those that had not begun. The end leaves out what a restore brought with it.
        (SELECT r.id, r.at, r.xid, r.leaf FROM audit.record AS r
         WHERE r.xid >= greatest(after, pg_snapshot_xmax(seen))
         AND r.xid < pg_snapshot_xmax(pg_current_snapshot())
         AND NOT EXISTS (SELECT FROM audit.leaf_index AS l WHERE l.record = r.id)
         ORDER BY r.xid, r.at, r.id LIMIT most)
    ) AS u
    ORDER BY u.xid, u.at, u.id LIMIT most;
END
$body$;

-- Put `leaves` ([{"record", "at", "leaf"}], in order) behind the tree of `first` leaves, with
-- the subtrees that they complete ([{"level", "index", "hash"}]) and the signed checkpoint.
CREATE FUNCTION audit.seal(
    first bigint, leaves jsonb, nodes jsonb, root bytea, note text, seen pg_snapshot)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $body$
DECLARE
    many constant bigint := jsonb_array_length(leaves);
    size constant bigint := first + many;
    kept bigint;
    told timestamptz;
BEGIN
    IF (many > 0 AND first = (SELECT coalesce(max(c.size), 0) FROM audit.checkpoint AS c))
            IS NOT TRUE THEN
        RAISE EXCEPTION 'Not sealed: the tree does not end at %.', first
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF (split_part(note, chr(10), 2) = size::text
            AND split_part(note, chr(10), 3) = encode(root, 'base64')) IS NOT TRUE THEN
        RAISE EXCEPTION 'Not sealed: the note is of another tree.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO audit.leaf_index (index, record, at, leaf)
    SELECT first + g.n - 1, r.id, r.at, r.leaf
    FROM ROWS FROM (jsonb_to_recordset(leaves) AS (record uuid, at timestamptz, leaf text))
         WITH ORDINALITY AS g (record, at, leaf, n)
    JOIN audit.record AS r ON r.id = g.record AND r.at = g.at AND r.leaf = decode(g.leaf, 'hex');
    GET DIAGNOSTICS kept = ROW_COUNT;
    IF kept <> many THEN
        RAISE EXCEPTION 'Not sealed: % of % leaves are entries of the record.', kept, many
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO audit.node (level, index, hash)
    SELECT g.level, g.index, decode(g.hash, 'hex')
    FROM jsonb_to_recordset(nodes) AS g (level int, index bigint, hash text)
    WHERE (g.index + 1) << g.level <= size AND (g.index + 1) << g.level > first;
    GET DIAGNOSTICS kept = ROW_COUNT;
    IF kept <> jsonb_array_length(nodes)
            OR kept <> (SELECT sum((size >> l) - (first >> l)) FROM generate_series(8, 56, 8) AS l)
    THEN
        RAISE EXCEPTION 'Not sealed: these are not the subtrees that are complete now.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO audit.checkpoint (size, root, note, seen, system)
    SELECT size, root, note, seen, s.system_identifier FROM pg_control_system() AS s
    RETURNING at INTO told;
    RETURN told;
END
$body$;

CREATE FUNCTION audit.publish_key(kind text, vkey text, certificate text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO audit.sealing_key (kind, vkey, certificate)
    VALUES (publish_key.kind, publish_key.vkey, publish_key.certificate) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$body$;

-- Say why nothing is signed, or by an empty cause that it is over. What was said last is not
-- said again.
CREATE FUNCTION audit.raise_alarm(cause text, detail jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    last audit.alarm;
BEGIN
    SELECT * INTO last FROM audit.alarm AS a ORDER BY a.number DESC LIMIT 1;
    IF coalesce(last.cause, '') = raise_alarm.cause THEN
        RETURN false;
    END IF;
    INSERT INTO audit.alarm (number, cause, detail)
    VALUES (coalesce(last.number + 1, 0), raise_alarm.cause, raise_alarm.detail);
    RETURN true;
END
$body$;

GRANT USAGE ON SCHEMA audit TO muster_sealer;
GRANT SELECT ON audit.leaf_index, audit.node, audit.checkpoint, audit.sealing_key, audit.alarm
    TO muster_web, muster_worker, muster_beat, muster_sealer;
GRANT EXECUTE ON FUNCTION audit.unsealed(pg_snapshot, xid8, int)
    TO muster_web, muster_worker, muster_beat, muster_sealer;
GRANT EXECUTE ON FUNCTION
    audit.seal(bigint, jsonb, jsonb, bytea, text, pg_snapshot),
    audit.publish_key(text, text, text), audit.raise_alarm(text, jsonb) TO muster_sealer;
