-- The tables of the record. Run by the migrator, as muster_audit, which owns all of it.

CREATE SCHEMA audit;
-- No function of this role is ever open to everybody, not even one that is added later.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE audit.record (
    id       uuid        NOT NULL,
    at       timestamptz NOT NULL,
    xid      xid8        NOT NULL,
    version  smallint    NOT NULL CHECK (version = 1),
    kind     text COLLATE "C" NOT NULL CHECK (kind <> ''),
    agent    text COLLATE "C" NOT NULL DEFAULT '',
    "user"   text COLLATE "C" NOT NULL DEFAULT '',
    gateway  text COLLATE "C" NOT NULL DEFAULT '',
    actor    text COLLATE "C" NOT NULL DEFAULT '',
    tool     text COLLATE "C" NOT NULL DEFAULT '',
    resource text COLLATE "C" NOT NULL DEFAULT '',
    effect   text COLLATE "C" NOT NULL DEFAULT '',
    "check"  text COLLATE "C" NOT NULL DEFAULT '',
    code     text COLLATE "C" NOT NULL DEFAULT '',
    tier     text COLLATE "C" NOT NULL DEFAULT '',
    session  text COLLATE "C" NOT NULL DEFAULT '',
    parent   uuid,
    mode     text COLLATE "C" NOT NULL DEFAULT '',
    body     bytea       NOT NULL,
    leaf     bytea       NOT NULL CHECK (octet_length(leaf) = 32),
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);

-- An entry without the value is left out of the index: it is never looked for by it.
CREATE INDEX ON audit.record (at, id);
CREATE INDEX ON audit.record (agent, at) WHERE agent <> '';
CREATE INDEX ON audit.record ("user", at) WHERE "user" <> '';
CREATE INDEX ON audit.record (tool, at) WHERE tool <> '';
CREATE INDEX ON audit.record (resource, at) WHERE resource <> '';
CREATE INDEX ON audit.record (session, at) WHERE session <> '';
CREATE INDEX ON audit.record (parent) WHERE parent IS NOT NULL;
-- Most decisions are allows; these are looked for because they are the others.
CREATE INDEX ON audit.record (effect, code, at) WHERE effect IN ('deny', 'hold');
CREATE INDEX ON audit.record (kind, at) WHERE kind <> 'decision';

CREATE TABLE audit.payload (
    record uuid        NOT NULL,
    at     timestamptz NOT NULL,
    field  text COLLATE "C" NOT NULL CHECK (field <> ''),
    nonce  bytea       NOT NULL CHECK (octet_length(nonce) = 12),
    sealed bytea       NOT NULL CHECK (octet_length(sealed) >= 48),
    PRIMARY KEY (record, field, at)
) PARTITION BY RANGE (at);

CREATE TABLE audit.wrap (
    record uuid        NOT NULL,
    at     timestamptz NOT NULL,
    holder text COLLATE "C" NOT NULL CHECK (holder <> ''),
    key    bytea       NOT NULL CHECK (octet_length(key) = 60),
    PRIMARY KEY (record, at)
) PARTITION BY RANGE (at);
CREATE INDEX ON audit.wrap (holder, at);

CREATE TABLE audit.holder (
    holder  text COLLATE "C" PRIMARY KEY CHECK (holder <> ''),
    key     bytea       NOT NULL CHECK (octet_length(key) = 60),
    created timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE audit.slice (
    digest  bytea PRIMARY KEY CHECK (digest = sha256(content)),
    content bytea NOT NULL
);

CREATE TABLE audit.mark (
    name text COLLATE "C" PRIMARY KEY CHECK (name IN ('demo', 'first_policy')),
    at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What is written stays. ENABLE ALWAYS, so that session_replication_role switches nothing off.

CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION 'The record is append-only: % on %.% is refused.',
        tg_op, tg_table_schema, tg_table_name USING ERRCODE = 'insufficient_privilege';
END
$body$;

CREATE FUNCTION audit.protect(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', relation);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_truncate', relation);
END
$body$;

DO $body$
DECLARE
    relation regclass;
BEGIN
    FOREACH relation IN ARRAY ARRAY['audit.record', 'audit.payload', 'audit.wrap',
                                    'audit.holder', 'audit.slice', 'audit.mark']::regclass[]
    LOOP
        EXECUTE format('CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON %s
                        FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_change', relation);
        PERFORM audit.protect(relation);
    END LOOP;
END
$body$;

-- A demo is marked while nothing has been recorded, or never.
CREATE FUNCTION audit.guard_mark() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF new.name = 'demo' AND EXISTS (SELECT FROM audit.record) THEN
        RAISE EXCEPTION 'This database holds records: it can no longer be marked as a demo.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN new;
END
$body$;
CREATE TRIGGER guard_mark BEFORE INSERT ON audit.mark
    FOR EACH ROW EXECUTE FUNCTION audit.guard_mark();
ALTER TABLE audit.mark ENABLE ALWAYS TRIGGER guard_mark;
