-- What lets payloads go: keys that are erased, and the legal holds that keep them.
-- Run by the migrator, as muster_audit.

-- A hold covers the entries that fit all that it names; an empty part fits everything. `subject`
-- is a person's pseudonymous id or a resource, as entries have them; days are of UTC, `last` with.
CREATE TABLE audit.legal_hold (
    id      uuid        PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    subject text COLLATE "C" NOT NULL,
    agent   text COLLATE "C" NOT NULL,
    first   date,
    last    date,
    -- The letter of Art. 17(3) GDPR.
    ground  text COLLATE "C" NOT NULL CHECK (ground IN ('a', 'b', 'c', 'd', 'e')),
    reason  text NOT NULL CHECK (reason <> ''),
    set_by  text COLLATE "C" NOT NULL CHECK (set_by <> ''),
    CHECK (subject <> '' OR agent <> '' OR num_nonnulls(first, last) > 0),
    CHECK (last >= first)
);

-- One sets, two lift.
CREATE TABLE audit.hold_lifted (
    hold      uuid        PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked_by  text COLLATE "C" NOT NULL CHECK (asked_by <> ''),
    agreed_by text COLLATE "C" NOT NULL CHECK (agreed_by <> '' AND agreed_by <> asked_by)
);

-- Keys under which nothing is sealed any more: whoever asks for one is given the next.
CREATE TABLE audit.laid_aside (
    holder  text COLLATE "C" PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    request text COLLATE "C" NOT NULL CHECK (request <> '')
);

-- Why keys went. A key goes in the transaction that wrote its row here, and in no other.
CREATE TABLE audit.erasure (
    number    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid       xid8        NOT NULL DEFAULT pg_current_xact_id(),
    cause     text COLLATE "C" NOT NULL CHECK (cause IN ('request', 'retention')),
    -- What went: a holder's key and all that it wraps, or the keys of single entries.
    holder    text COLLATE "C" NOT NULL DEFAULT '',
    records   uuid[]      NOT NULL DEFAULT '{}',
    tier      text COLLATE "C",
    days      int,
    request   text COLLATE "C" NOT NULL CHECK (request <> ''),
    asked_by  text COLLATE "C" NOT NULL CHECK (asked_by <> ''),
    agreed_by text COLLATE "C" NOT NULL CHECK (agreed_by <> ''),
    CHECK (cause = 'retention' OR agreed_by <> asked_by)
);
CREATE INDEX ON audit.erasure (xid);

CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF tg_op = 'DELETE' AND tg_level = 'ROW'
       AND (tg_table_name = 'holder' OR tg_table_name ~ '^wrap(_[0-9]{4}_[0-9]{2})?$')
       AND EXISTS (SELECT FROM audit.erasure AS e WHERE e.xid = pg_current_xact_id()) THEN
        RETURN old;
    END IF;
    RAISE EXCEPTION 'The record is append-only: % on %.% is refused.',
        tg_op, tg_table_schema, tg_table_name USING ERRCODE = 'insufficient_privilege';
END
$body$;

DO $body$
DECLARE
    relation regclass;
BEGIN
    FOREACH relation IN ARRAY ARRAY['audit.legal_hold', 'audit.hold_lifted', 'audit.laid_aside',
                                    'audit.erasure']::regclass[]
    LOOP
        EXECUTE format('CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON %s
                        FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_change', relation);
        PERFORM audit.protect(relation);
    END LOOP;
END
$body$;

CREATE VIEW audit.standing_hold AS
SELECT h.* FROM audit.legal_hold AS h
WHERE NOT EXISTS (SELECT FROM audit.hold_lifted AS l WHERE l.hold = h.id);

-- Every entry that a standing hold covers, once for each hold.
CREATE VIEW audit.held_entry AS
SELECT r.id, r.at, h.id AS hold
FROM audit.record AS r
JOIN audit.standing_hold AS h
  ON (h.subject = '' OR h.subject IN (r."user", r.resource))
 AND (h.agent = '' OR h.agent = r.agent)
 AND (h.first IS NULL OR r.at >= h.first::timestamp AT TIME ZONE 'UTC')
 AND (h.last IS NULL OR r.at < (h.last + 1)::timestamp AT TIME ZONE 'UTC');

-- Holds and erasures wait for each other: none is set while a key is on its way out.
CREATE FUNCTION audit.set_legal_hold(
    id uuid, subject text, agent text, first date, last date, ground text, reason text, set_by text)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_variable
DECLARE
    told timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit.legal_hold'));
    INSERT INTO audit.legal_hold AS h (id, subject, agent, first, last, ground, reason, set_by)
    VALUES (id, subject, agent, first, last, ground, reason, set_by)
    RETURNING h.at INTO told;
    RETURN told;
END
$body$;

CREATE FUNCTION audit.lift_legal_hold(hold uuid, asked_by text, agreed_by text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_variable
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit.legal_hold'));
    INSERT INTO audit.hold_lifted (hold, asked_by, agreed_by)
    SELECT h.id, asked_by, agreed_by FROM audit.standing_hold AS h WHERE h.id = hold;
    RETURN FOUND;
END
$body$;

-- As before, and NULL for a key that is laid aside.
CREATE OR REPLACE FUNCTION audit.keep_holder(name text, wrapped bytea) RETURNS bytea
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF EXISTS (SELECT FROM audit.laid_aside AS l WHERE l.holder = name) THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit.holder (holder, key) VALUES (name, wrapped) ON CONFLICT DO NOTHING;
    RETURN (SELECT h.key FROM audit.holder AS h WHERE h.holder = name);
END
$body$;

-- Have nothing more sealed under the keys that a holder has had so far; those that were laid aside
-- already stay so. The names of all that are there.
CREATE FUNCTION audit.lay_aside(base text, request text) RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_variable
DECLARE
    names constant text[] := ARRAY(
        SELECT h.holder FROM audit.holder AS h
        WHERE h.holder = base OR starts_with(h.holder, base || '/') ORDER BY h.holder);
BEGIN
    INSERT INTO audit.laid_aside (holder, request) SELECT n, request FROM unnest(names) AS n
    ON CONFLICT DO NOTHING;
    RETURN names;
END
$body$;

-- Erase a key that is laid aside, with all that it wraps. Entries under a legal hold keep theirs,
-- and then the holder's key stays as well: {"erased", "held"} count entries.
CREATE FUNCTION audit.erase_key(holder text, request text, asked_by text, agreed_by text)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $body$
#variable_conflict use_variable
DECLARE
    gone bigint;
    kept bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM audit.laid_aside AS l WHERE l.holder = holder) THEN
        RAISE EXCEPTION 'Not erased: the key of % is in use. Lay it aside first.', holder
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit.legal_hold'));
    INSERT INTO audit.erasure (cause, holder, request, asked_by, agreed_by)
    VALUES ('request', holder, request, asked_by, agreed_by);
    DELETE FROM audit.wrap AS w WHERE w.holder = holder
    AND NOT EXISTS (SELECT FROM audit.held_entry AS e WHERE e.id = w.record AND e.at = w.at);
    GET DIAGNOSTICS gone = ROW_COUNT;
    SELECT count(*) INTO kept FROM audit.wrap AS w WHERE w.holder = holder;
    IF kept = 0 THEN
        DELETE FROM audit.holder AS h WHERE h.holder = holder;
    END IF;
    RETURN jsonb_build_object('erased', gone, 'held', kept);
END
$body$;

-- Erase the keys of single entries: those of somebody whose data lies under others' keys.
CREATE FUNCTION audit.erase_entries(records uuid[], request text, asked_by text, agreed_by text)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $body$
#variable_conflict use_variable
DECLARE
    gone bigint;
    kept bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit.legal_hold'));
    INSERT INTO audit.erasure (cause, records, request, asked_by, agreed_by)
    VALUES ('request', records, request, asked_by, agreed_by);
    DELETE FROM audit.wrap AS w WHERE w.record = ANY (records)
    AND NOT EXISTS (SELECT FROM audit.held_entry AS e WHERE e.id = w.record AND e.at = w.at);
    GET DIAGNOSTICS gone = ROW_COUNT;
    SELECT count(*) INTO kept FROM audit.wrap AS w WHERE w.record = ANY (records);
    RETURN jsonb_build_object('erased', gone, 'held', kept);
END
$body$;

-- Erase the keys of up to `most` entries of this tier that are older than so many days, and under
-- no legal hold; no younger one than 30 days goes this way. How many went.
CREATE FUNCTION audit.erase_old(tier text, days int, most int, request text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_variable
DECLARE
    before constant timestamptz := clock_timestamp() - make_interval(days => days);
    gone bigint;
BEGIN
    IF (days >= 30) IS NOT TRUE THEN
        RAISE EXCEPTION 'Not erased: payloads are kept for 30 days at least, not for %.', days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit.legal_hold'));
    INSERT INTO audit.erasure (cause, tier, days, request, asked_by, agreed_by)
    VALUES ('retention', tier, days, request, 'system:retention', 'system:retention');
    WITH due AS (
        SELECT w.record, w.at FROM audit.wrap AS w
        JOIN audit.record AS r ON r.id = w.record AND r.at = w.at
        WHERE w.at < before AND r.tier = tier
        AND NOT EXISTS (SELECT FROM audit.held_entry AS e WHERE e.id = w.record AND e.at = w.at)
        LIMIT most)
    DELETE FROM audit.wrap AS w USING due AS d WHERE w.record = d.record AND w.at = d.at;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$body$;

GRANT SELECT ON audit.legal_hold, audit.hold_lifted, audit.laid_aside, audit.erasure,
    audit.standing_hold, audit.held_entry TO muster_web, muster_worker, muster_beat;
GRANT EXECUTE ON FUNCTION
    audit.set_legal_hold(uuid, text, text, date, date, text, text, text),
    audit.lift_legal_hold(uuid, text, text) TO muster_web;
GRANT EXECUTE ON FUNCTION audit.lay_aside(text, text), audit.erase_key(text, text, text, text),
    audit.erase_entries(uuid[], text, text, text), audit.erase_old(text, int, int, text)
    TO muster_worker;
