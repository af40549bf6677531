"""What PostgreSQL's own catalogue says of the record's protection.

`faults` is empty in an installation that is as it should be: nobody but the record's owner holds
anything beyond reading and the fixed functions, and every table refuses change.
"""

from __future__ import annotations

from typing import Any

from django.db import connection

OWNER = "muster_audit"
SEALER = "muster_sealer"
LOGINS = ("muster_web", "muster_worker", "muster_beat", "muster_queue", "muster_loader", SEALER)
READERS = frozenset({"muster_web", "muster_worker", "muster_beat"})
# What the sealer reads: the tree, and nothing of what was recorded.
TREE = frozenset({"leaf_index", "node", "checkpoint", "sealing_key", "alarm", "anchored"})
# Function, and the logins that may call it. Anything else in the schema is a fault.
FUNCTIONS: dict[str, frozenset[str]] = {
    "append(jsonb)": READERS,
    "keep_holder(text,bytea)": READERS,
    "keep_slice(bytea)": READERS,
    "set_mark(text)": frozenset({"muster_web", "muster_worker"}),
    "make_next_partition(integer)": frozenset({"muster_worker"}),
    "make_partition(date)": frozenset(),
    "protect(regclass)": frozenset(),
    "refuse_change()": frozenset(),
    "guard_mark()": frozenset(),
    "unsealed(pg_snapshot,xid8,integer)": READERS | {SEALER},
    "seal(bigint,jsonb,jsonb,bytea,text,pg_snapshot)": frozenset({SEALER}),
    "publish_key(text,text,text)": frozenset({SEALER}),
    "raise_alarm(text,jsonb)": frozenset({SEALER}),
    "note_anchored(bigint,text,text,boolean,jsonb)": frozenset({"muster_worker"}),
    "set_legal_hold(uuid,text,text,date,date,text,text,text)": frozenset({"muster_web"}),
    "lift_legal_hold(uuid,text,text)": frozenset({"muster_web"}),
    "lay_aside(text,text)": frozenset({"muster_worker"}),
    "erase_key(text,text,text,text)": frozenset({"muster_worker"}),
    "erase_entries(uuid[],text,text,text)": frozenset({"muster_worker"}),
    "erase_old(text,integer,integer,text)": frozenset({"muster_worker"}),
    "order_drop(date,integer,text,text)": frozenset({"muster_web"}),
    "is_over(date,integer)": frozenset(),
    # The owner's alone: no login drops, not even by an order.
    "drop_month(bigint,uuid)": frozenset(),
}

_GRANTS = """
SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type
FROM pg_class AS c
CROSS JOIN LATERAL (
    SELECT * FROM aclexplode(c.relacl)
    UNION ALL
    SELECT x.* FROM pg_attribute AS t CROSS JOIN LATERAL aclexplode(t.attacl) AS x
    WHERE t.attrelid = c.oid
) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE c.relnamespace = 'audit'::regnamespace AND a.grantee <> c.relowner
ORDER BY 1, 2, 3
"""
_SCHEMA_GRANTS = """
SELECT coalesce(r.rolname, 'PUBLIC'), a.privilege_type
FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE n.nspname = 'audit' AND a.grantee <> n.nspowner
ORDER BY 1, 2
"""
_FUNCTIONS = """
SELECT p.proname || '(' || (
           SELECT coalesce(string_agg(format_type(t, NULL), ',' ORDER BY n), '')
           FROM unnest(p.proargtypes) WITH ORDINALITY AS x (t, n)) || ')',
       coalesce(array_agg(coalesce(r.rolname, 'PUBLIC')::text ORDER BY r.rolname)
                FILTER (WHERE a.grantee IS NOT NULL AND a.grantee <> p.proowner), '{}')
FROM pg_proc AS p
LEFT JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a ON true
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE p.pronamespace = 'audit'::regnamespace
GROUP BY p.oid ORDER BY 1
"""
_OWNERS = """
SELECT thing, pg_get_userbyid(owner) FROM (
    SELECT 'schema audit' AS thing, nspowner AS owner FROM pg_namespace WHERE nspname = 'audit'
    UNION ALL
    SELECT 'table audit.' || relname, relowner FROM pg_class
    WHERE relnamespace = 'audit'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT 'function audit.' || proname, proowner FROM pg_proc
    WHERE pronamespace = 'audit'::regnamespace
) AS things WHERE pg_get_userbyid(owner) <> %s ORDER BY 1
"""
_POWERS = """
SELECT r.rolname,
       r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,
       coalesce((SELECT string_agg(g.rolname, ', ' ORDER BY g.rolname) FROM pg_auth_members AS m
                 JOIN pg_roles AS g ON g.oid = m.roleid WHERE m.member = r.oid), '')
FROM pg_roles AS r WHERE r.rolname = ANY (%s) ORDER BY 1
"""
# Bits of tgtype: 1 row, 2 before, 8 delete, 16 update, 32 truncate.
_UNPROTECTED = """
SELECT c.relname, w.what FROM pg_class AS c
CROSS JOIN (VALUES ('UPDATE', 1 + 2 + 16), ('DELETE', 1 + 2 + 8), ('TRUNCATE', 2 + 32))
    AS w (what, bits)
WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind IN ('r', 'p')
AND NOT EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = c.oid AND t.tgfoid = 'audit.refuse_change'::regproc
    AND t.tgenabled = 'A' AND t.tgtype & w.bits = w.bits AND t.tgqual IS NULL
    AND cardinality(t.tgattr::int2[]) = 0)
ORDER BY 1, 2
"""
_SOFT_TRIGGERS = """
SELECT t.tgrelid::regclass::text, t.tgname FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'audit'::regnamespace AND t.tgenabled <> 'A' ORDER BY 1, 2
"""
_SHAPE = """
SELECT 'audit.' || c.relname, 'is a default partition' FROM pg_class AS c
WHERE c.relnamespace = 'audit'::regnamespace
AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
UNION ALL
SELECT 'audit.' || tablename, 'has the rule ' || rulename FROM pg_rules WHERE schemaname = 'audit'
ORDER BY 1, 2
"""


def faults() -> list[str]:
    """What is not as it must be, one sentence each."""
    return [
        *_grant_faults(),
        *_function_faults(),
        *(f"{thing} belongs to {owner}." for thing, owner in _rows(_OWNERS, OWNER)),
        *_login_faults(),
        *(f"audit.{table} does not refuse {what}." for table, what in _rows(_UNPROTECTED)),
        *(
            f"{table}: trigger {name} is not ENABLE ALWAYS."
            for table, name in _rows(_SOFT_TRIGGERS)
        ),
        *(f"{thing} {what}." for thing, what in _rows(_SHAPE)),
    ]


def _grant_faults() -> list[str]:
    tables = [
        f"{who} holds {what} on audit.{table}."
        for table, who, what in _rows(_GRANTS)
        if what != "SELECT" or who not in _readers_of(table)
    ]
    schema = [
        f"{who} holds {what} on schema audit."
        for who, what in _rows(_SCHEMA_GRANTS)
        if what != "USAGE" or who not in READERS | {SEALER}
    ]
    return tables + schema


def _readers_of(table: str) -> frozenset[str]:
    return READERS | {SEALER} if table in TREE else READERS


def _function_faults() -> list[str]:
    found = {name: frozenset(who) for name, who in _rows(_FUNCTIONS)}
    strange = [
        f"audit.{name} is not one of Muster's functions." for name in found.keys() - FUNCTIONS
    ]
    missing = [f"audit.{name} is missing." for name in FUNCTIONS.keys() - found.keys()]
    grants = [
        f"audit.{name} is open to {', '.join(sorted(found[name])) or 'nobody'}, "
        f"not to {', '.join(sorted(wanted)) or 'nobody'}."
        for name, wanted in FUNCTIONS.items()
        if name in found and found[name] != wanted
    ]
    return [*sorted(strange), *sorted(missing), *grants]


def _login_faults() -> list[str]:
    found = []
    for name, powerful, roles in _rows(_POWERS, list(LOGINS)):
        if powerful:
            found.append(f"{name} has powers of an administrator.")
        if roles:
            found.append(f"{name} is a member of {roles}.")
    return found


def _rows(query: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params or None)
        return list(cursor.fetchall())
