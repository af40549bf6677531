"""Fills a record as large as one likes, in the shape in which `audit.append` writes.

Entries are made by the database and not one by one through `audit.append`, which would take hours:
columns, both lines of the body and the leaf follow from each other as they do there, times rise
with the order of writing, and partitions are those of the months. Bodies are a third as long as
a real decision's, which names more checks and slices: a page reads fifty of them, whatever is
beside. What is recorded is skewed as work is: one agent in two thousand has a seventh of it, each
has a few tools, which change over the months, and people that it works for; a run is twenty entries
of one agent, twenty runs at a time; an agent in 37 is nearly always refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from governance.runner.environment import Installation

MONTHS = 6
AT_ONCE = 2
BUILDING = "SET maintenance_work_mem = '512MB'"
Connection = psycopg.Connection[Any]

_WORDS = """
CREATE FUNCTION public.chance(n bigint, seed int) RETURNS double precision IMMUTABLE LANGUAGE sql
RETURN (hashint8extended(n, seed) & 9007199254740991) / 9007199254740992.0::double precision;
CREATE FUNCTION public.pick(n bigint, seed int, many int, skew int) RETURNS int IMMUTABLE
LANGUAGE sql RETURN floor(many * power(public.chance(n, seed), skew))::int;
CREATE FUNCTION public.id_at(n bigint, at timestamptz) RETURNS uuid IMMUTABLE LANGUAGE sql
RETURN overlay(overlay(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
    || lpad(to_hex(hashint8extended(n, 21) & 1152921504606846975), 20, '7')
    PLACING '7' FROM 13 FOR 1) PLACING 'a' FROM 17 FOR 1)::uuid;
"""
# As the sealer numbers them; no checkpoint is signed over them.
_LEAVES = """
INSERT INTO audit.leaf_index (index, record, at, leaf)
SELECT row_number() OVER (ORDER BY at, id) - 1, id, at, leaf FROM audit.record
"""
# From entry `first` to before `last`, which fill one month; `step` is between two of them.
_ENTRIES = """
INSERT INTO audit.record (id, at, xid, version, kind, agent, "user", gateway, actor, tool,
                          resource, effect, "check", code, tier, session, parent, mode, body, leaf)
SELECT id, at, pg_current_xact_id(), 1, kind, agent, "user", '', actor, tool,
       resource, effect, "check", code, tier, session, parent, mode, body,
       sha256(decode('00', 'hex') || body)
FROM (SELECT *, convert_to(
    '{"actor":"' || actor || '","agent":"' || agent
    || '","asked":{"as":"agent","caller":{"id":"' || agent || '","kind":"agent"},"subject_type":'
    || '"agent"},"gateway":"","id":"' || id || '","judged":{"engine":3,"label":"internal",'
    || '"walk":[["identity","passed",""],["allowlist","passed",""],["policy","passed",""]]},'
    || '"kind":"' || kind || '","mode":"' || mode || '","parent":'
    || coalesce('"' || parent || '"', 'null') || ',"resource":"' || resource || '","session":"'
    || session || '","tier":"' || tier || '","tool":"' || tool || '","user":"' || "user"
    || '","version":1}' || chr(10) || '{"at": "'
    || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '", "code": "' || code
    || '", "check": "' || "check" || '", "effect": "' || effect || '", "settled": {}}', 'UTF8'
) AS body FROM (
    SELECT *, 'run-' || md5(run::text) AS session,
        CASE kind WHEN 'registry' THEN person ELSE agent END AS actor,
        CASE WHEN kind <> 'registry' AND public.chance(run, 3) < 0.6 THEN person ELSE '' END
            AS "user",
        CASE kind WHEN 'decision' THEN 'enforce' ELSE '' END AS mode,
        CASE WHEN kind = 'registry' THEN '' ELSE (ARRAY['public', 'internal', 'internal',
            'confidential', 'restricted'])[1 + tool_number %% 5] END AS tier,
        CASE WHEN kind = 'registry' THEN '' ELSE 'system' || tool_number %% 40 || '.do_'
            || tool_number END AS tool,
        CASE WHEN kind = 'registry' THEN 'agent:' || agent
            ELSE 'system-' || tool_number %% 40 || '/object-' || public.pick(n, 4, 20000, 6) END
            AS resource,
        CASE kind WHEN 'outcome' THEN public.id_at(n - 20, at - %(step)s * 20) END AS parent,
        CASE effect WHEN 'deny' THEN split_part(refusal, '.', 1) WHEN 'hold' THEN 'gate' ELSE '' END
            AS "check",
        CASE WHEN kind = 'outcome' THEN 'outcome.done' WHEN effect = 'deny' THEN refusal
            WHEN effect = 'hold' THEN 'gate.amount' ELSE '' END AS code
    FROM (
        SELECT *, public.id_at(n, at) AS id, 'agent-' || agent_number AS agent,
            'p_' || substr(md5('p' || (agent_number * 17 + public.pick(run, 5, 60, 3)) %% 5000),
                           1, 22) AS person,
            (agent_number * 13 + public.pick(n, 6, 9, 2)
             + CASE agent_number %% 10 WHEN 0 THEN 3 * %(month)s ELSE 0 END) %% 400 AS tool_number,
            (ARRAY['policy.no_permit', 'allowlist.not_listed', 'flow.down_tier',
                   'parameters.schema', 'rate.minute', 'spend.cap', 'taint.untrusted',
                   'quota.writes'])[1 + public.pick(n, 7, 8, 3)] AS refusal,
            CASE WHEN kind <> 'decision' THEN ''
                WHEN agent_number %% 37 = 5 AND public.chance(n, 8) < 0.97 THEN 'deny'
                WHEN public.chance(n, 9) < 0.86 THEN 'allow'
                WHEN public.chance(n, 9) < 0.97 THEN 'deny' ELSE 'hold' END AS effect
        FROM (
            SELECT n, run, %(begins)s + %(step)s * (n - %(first)s) AS at,
                public.pick(run, 1, 2000, 4) AS agent_number,
                CASE WHEN public.chance(n, 2) < 0.01 THEN 'registry'
                    WHEN (n / 20) %% 3 = 2 THEN 'outcome' ELSE 'decision' END AS kind
            FROM generate_series(%(first)s::bigint, %(last)s - 1) AS n,
                LATERAL (SELECT n / 400 * 20 + n %% 20 AS run) AS drawn
        ) AS numbered
    ) AS drawn
) AS told) AS written
"""


@dataclass(frozen=True)
class Month:
    """The entries of one month."""

    number: int
    begins: datetime
    ends: datetime
    first: int
    last: int


def months(records: int, now: datetime) -> Iterator[Month]:
    """The last six months until now, the entries spread evenly over them."""
    starts = [_months_before(now, MONTHS - 1 - each) for each in range(MONTHS)]
    for number, begins in enumerate(starts):
        ends = starts[number + 1] if number + 1 < MONTHS else now
        first, last = records * number // MONTHS, records * (number + 1) // MONTHS
        yield Month(number, begins, ends, first, last)


def _months_before(now: datetime, many: int) -> datetime:
    month = now.year * 12 + now.month - 1 - many
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def fill(installation: Installation, records: int) -> None:
    """Write the entries, then build the indexes that the migrations made, and look at them."""
    every = list(months(records, datetime.now(UTC)))
    with _owner(installation) as owner:
        for month in every:
            owner.execute("SELECT audit.make_partition(%s::date)", [month.begins])
        indexes = _take_indexes(owner)
    with _administrator(installation) as admin:
        admin.execute(_WORDS)
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda month: _write(installation, month), every))
    print(f"{records:,} entries written in {time.monotonic() - began:.0f} s", flush=True)
    began = time.monotonic()
    with _owner(installation) as owner:
        owner.execute(BUILDING)
        for index in indexes:
            owner.execute(index)
    with _administrator(installation) as admin:
        admin.execute("VACUUM (ANALYZE) audit.record")
    print(f"{len(indexes)} indexes built in {time.monotonic() - began:.0f} s", flush=True)
    place_in_log(installation)


def place_in_log(installation: Installation) -> None:
    """Give each entry its place in the log."""
    began = time.monotonic()
    with _administrator(installation) as admin:
        admin.execute(_LEAVES)
        admin.execute("VACUUM (ANALYZE) audit.leaf_index")
    print(f"Placed in the log in {time.monotonic() - began:.0f} s", flush=True)


def _write(installation: Installation, month: Month) -> None:
    with _administrator(installation) as admin:
        given = {
            "month": month.number,
            "first": month.first,
            "last": month.last,
            "begins": month.begins,
            "step": (month.ends - month.begins) / (month.last - month.first),
        }
        admin.execute("SET synchronous_commit = off")
        admin.execute(_ENTRIES, given)


def _take_indexes(owner: Connection) -> list[str]:
    """Drop every index of the record; what makes them again."""
    found = owner.execute(
        "SELECT indexrelid::regclass::text, indisprimary, pg_get_indexdef(indexrelid)"
        " FROM pg_index WHERE indrelid = 'audit.record'::regclass ORDER BY 1"
    ).fetchall()
    return [_taken(owner, *row) for row in found]


def _taken(owner: Connection, name: str, primary: bool, statement: str) -> str:
    if primary:
        owner.execute("ALTER TABLE audit.record DROP CONSTRAINT record_pkey")
        return "ALTER TABLE audit.record ADD PRIMARY KEY (id, at)"
    owner.execute(f"DROP INDEX {name}")
    return statement.replace(" ON ONLY ", " ON ")


def _administrator(installation: Installation) -> Connection:
    place = installation.database
    return place.connect(place.name, **place.administrator)


def _owner(installation: Installation) -> Connection:
    connection = _administrator(installation)
    connection.execute("SET ROLE muster_audit")
    return connection
