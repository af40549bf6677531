-- Months of the record that are dropped: ordered by two people, carried out by the operator.
-- Run by the migrator, as muster_audit.

-- An order says for how many months each entry had to be kept when it was agreed to. No rule asks
-- for less than six.
CREATE TABLE audit.drop_order (
    number    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    month     date        NOT NULL CHECK (extract(day FROM month) = 1),
    months    int         NOT NULL CHECK (months >= 6),
    asked_by  text COLLATE "C" NOT NULL CHECK (asked_by <> ''),
    agreed_by text COLLATE "C" NOT NULL CHECK (agreed_by <> '' AND agreed_by <> asked_by)
);
CREATE INDEX ON audit.drop_order (month, number);

-- What went: `first` to `last` are places in the tree, among which others' entries may lie.
CREATE TABLE audit.dropped (
    "order" bigint      PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    month   date        NOT NULL UNIQUE,
    record  uuid        NOT NULL,
    first   bigint      NOT NULL CHECK (first >= 0),
    last    bigint      NOT NULL CHECK (last >= first),
    entries bigint      NOT NULL CHECK (entries BETWEEN 1 AND last - first + 1),
    export  bytea       NOT NULL CHECK (octet_length(export) = 32)
);

DO $body$
DECLARE
    relation regclass;
BEGIN
    FOREACH relation IN ARRAY ARRAY['audit.drop_order', 'audit.dropped']::regclass[]
    LOOP
        EXECUTE format('CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON %s
                        FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_change', relation);
        PERFORM audit.protect(relation);
    END LOOP;
END
$body$;

-- Whether each entry of a month had to be kept for so many months, and that time is over.
CREATE FUNCTION audit.is_over(month date, months int) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $body$
    SELECT (month + make_interval(months => months + 1)) AT TIME ZONE 'UTC' <= clock_timestamp()
$body$;

-- What two people agreed on. It drops nothing.
CREATE FUNCTION audit.order_drop(month date, months int, asked_by text, agreed_by text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_variable
DECLARE
    made bigint;
BEGIN
    IF audit.is_over(month, months) IS NOT TRUE THEN
        RAISE EXCEPTION 'Not ordered: entries of % are kept for % months.', month, months
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO audit.drop_order AS o (month, months, asked_by, agreed_by)
    VALUES (month, months, asked_by, agreed_by) RETURNING o.number INTO made;
    RETURN made;
END
$body$;

-- Drop what an order of the last 30 days names, with all that lies sealed beside it: once its time
-- is over, where no legal hold covers an entry, where each is sealed (and anchored, where anything
-- ever was), and where the entry `declared` says so. Leaves stay. How many entries went.
CREATE FUNCTION audit.drop_month(ordered bigint, declared uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET lock_timeout = '10s' SET timezone = 'UTC'
AS $body$
#variable_conflict use_variable
DECLARE
    wanted   audit.drop_order;
    since    timestamptz;
    until    timestamptz;
    entries  bigint;
    unsealed bigint;
    first    bigint;
    last     bigint;
    said     jsonb;
    parent   text;
    leaf     text;
BEGIN
    -- None is set while the month is on its way out.
    PERFORM pg_advisory_xact_lock(hashtext('audit.legal_hold'));
    SELECT * INTO wanted FROM audit.drop_order AS o
    WHERE o.number = ordered AND o.at > clock_timestamp() - interval '30 days';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Not dropped: there is no such order of the last 30 days.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF audit.is_over(wanted.month, wanted.months) IS NOT TRUE THEN
        RAISE EXCEPTION 'Not dropped: % is kept for % months.', wanted.month, wanted.months
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    since := wanted.month::timestamptz;
    until := (wanted.month + interval '1 month')::timestamptz;
    IF EXISTS (SELECT FROM audit.held_entry AS h WHERE h.at >= since AND h.at < until) THEN
        RAISE EXCEPTION 'Not dropped: a legal hold covers entries of %.', wanted.month
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE l.index IS NULL), min(l.index), max(l.index)
    INTO entries, unsealed, first, last
    FROM audit.record AS r LEFT JOIN audit.leaf_index AS l
        ON l.record = r.id AND l.leaf = sha256(decode('00', 'hex') || r.body)
    WHERE r.at >= since AND r.at < until;
    IF entries = 0 OR unsealed > 0
            OR (last < (SELECT max(c.size) FROM audit.checkpoint AS c)) IS NOT TRUE THEN
        RAISE EXCEPTION 'Not dropped: % of % entries of % are not sealed.',
            unsealed, entries, wanted.month USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF last >= (SELECT max(a.size) FROM audit.anchored AS a WHERE a.outside) THEN
        RAISE EXCEPTION 'Not dropped: entries of % are not anchored outside.', wanted.month
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT split_part(convert_from(r.body, 'UTF8'), chr(10), 1)::jsonb -> 'asked' INTO said
    FROM audit.record AS r WHERE r.id = declared AND r.kind = 'admin' AND r.at > wanted.at;
    IF (said ->> 'did' = 'partition_dropped' AND said -> 'order' = to_jsonb(ordered)
            AND said -> 'from' = to_jsonb(first) AND said -> 'to' = to_jsonb(last)
            AND said -> 'entries' = to_jsonb(entries)
            AND said ->> 'export' ~ '^[0-9a-f]{64}$') IS NOT TRUE THEN
        RAISE EXCEPTION 'Not dropped: no entry of the record declares it as it is.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit.dropped AS d ("order", month, record, first, last, entries, export)
    VALUES (ordered, wanted.month, declared, first, last, entries,
            decode(said ->> 'export', 'hex'));
    -- In one order, so that appending and dropping never wait for each other.
    LOCK TABLE audit.record, audit.payload, audit.wrap IN ACCESS EXCLUSIVE MODE;
    FOREACH parent IN ARRAY ARRAY['record', 'payload', 'wrap'] LOOP
        leaf := parent || to_char(since, '"_"YYYY"_"MM');
        EXECUTE format('ALTER TABLE audit.%I DETACH PARTITION audit.%I', parent, leaf);
        EXECUTE format('DROP TABLE audit.%I', leaf);
    END LOOP;
    RETURN entries;
END
$body$;

GRANT SELECT ON audit.drop_order, audit.dropped TO muster_web, muster_worker, muster_beat;
GRANT EXECUTE ON FUNCTION audit.order_drop(date, int, text, text) TO muster_web;
