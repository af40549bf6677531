-- What anchors outside were told: one row for each time that one of them took a checkpoint.
-- Run by the migrator, as muster_audit.

CREATE TABLE audit.anchored (
    number  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    size    bigint      NOT NULL CHECK (size > 0),
    root    bytea       NOT NULL CHECK (octet_length(root) = 32),
    kind    text COLLATE "C" NOT NULL CHECK (kind <> ''),
    name    text COLLATE "C" NOT NULL CHECK (name <> ''),
    outside boolean     NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    receipt jsonb       NOT NULL
);
CREATE INDEX ON audit.anchored (name, number);

CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON audit.anchored
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.anchored ENABLE ALWAYS TRIGGER no_change;
SELECT audit.protect('audit.anchored');

-- The root is that of the checkpoint: who calls says which one was told, not what it says.
CREATE FUNCTION audit.note_anchored(
    size bigint, kind text, name text, outside boolean, receipt jsonb)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    told timestamptz;
BEGIN
    INSERT INTO audit.anchored (size, root, kind, name, outside, receipt)
    SELECT c.size, c.root, note_anchored.kind, note_anchored.name, note_anchored.outside,
           note_anchored.receipt
    FROM audit.checkpoint AS c WHERE c.size = note_anchored.size
    RETURNING at INTO told;
    IF told IS NULL THEN
        RAISE EXCEPTION 'Not noted: there is no checkpoint of % entries.', note_anchored.size
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN told;
END
$body$;

GRANT SELECT ON audit.anchored TO muster_web, muster_worker, muster_beat, muster_sealer;
GRANT EXECUTE ON FUNCTION audit.note_anchored(bigint, text, text, boolean, jsonb)
    TO muster_worker;
