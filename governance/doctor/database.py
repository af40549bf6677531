"""What the database is asked about itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection

from audit import protection
from governance import health
from governance.doctor.verdict import Here, Verdict, fail, ok, warn
from governance.kernel.database_clock import database_now
from governance.runner import roles
from registry.identity.tokens import LEEWAY_SECONDS

OLDEST_SERVER, NEWEST_SERVER = 15, 18
# Beyond this somebody should look; beyond the leeway of tokens, good ones are refused.
SKEW_SECONDS = 1.0
AGAIN = "Run ./muster up again: it brings every role to what it should be."
_ROLES = """
SELECT r.rolname, r.rolcanlogin,
       array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'superuser' END,
                          CASE WHEN r.rolcreaterole THEN 'createrole' END,
                          CASE WHEN r.rolcreatedb THEN 'createdb' END,
                          CASE WHEN r.rolreplication THEN 'replication' END,
                          CASE WHEN r.rolbypassrls THEN 'bypassrls' END], NULL),
       ARRAY(SELECT g.rolname::text FROM pg_auth_members AS m
             JOIN pg_roles AS g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1)
FROM pg_roles AS r WHERE r.rolname = ANY (%s)
"""


@dataclass(frozen=True, slots=True)
class Role:
    """A role as the catalogue has it: its name, what it may, and what it is a member of."""

    name: str
    may_log_in: bool
    powers: list[str]
    member_of: list[str]


def server(here: Here) -> Verdict:
    """Whether PostgreSQL is of a version that Muster runs on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int")
        return of_version(int(cursor.fetchone()[0]))


def of_version(version: int) -> Verdict:
    """The verdict on a server's version number, such as 180001 for 18.1."""
    said = f"PostgreSQL {version // 10_000}.{version % 10_000}."
    if version // 10_000 < OLDEST_SERVER:
        return fail(said, f"Upgrade PostgreSQL to {OLDEST_SERVER} or newer.")
    if version // 10_000 > NEWEST_SERVER:
        return warn(said, f"Muster is tested on {OLDEST_SERVER} to {NEWEST_SERVER}.")
    return ok(said)


def clock(here: Here) -> Verdict:
    """How far this machine's clock is from the database's."""
    before = datetime.now(UTC)
    theirs = database_now()
    ours = before + (datetime.now(UTC) - before) / 2
    skew = abs((ours - theirs).total_seconds())
    said = f"The clock here and the database's are {skew:.1f} s apart."
    todo = "Have both machines keep the time of one source (NTP)."
    if skew > LEEWAY_SECONDS:
        return fail(f"{said} Good tokens are refused.", todo)
    return warn(said, todo) if skew > SKEW_SECONDS else ok(said)


def migrations(here: Here) -> Verdict:
    """Whether the tables are those of this code."""
    state = health.state_of("migrations")
    if state == health.OK:
        return ok("Every migration is applied.")
    return fail(state, "Stop Muster, and start it with ./muster up: that applies them.")


def logins(here: Here) -> Verdict:
    """Whether every role is there, and none may more than it needs."""
    state = health.state_of("roles")
    faults = [*([] if state == health.OK else [state]), *role_faults(_roles())]
    if faults:
        return fail(" ".join(faults), AGAIN)
    return ok("Every role is there, and none may more than it needs.")


def _roles() -> list[Role]:
    with connection.cursor() as cursor:
        cursor.execute(_ROLES, [[roles.AUDIT_OWNER, *roles.LOGINS]])
        return [Role(*row) for row in cursor.fetchall()]


def role_faults(found: Iterable[Role]) -> list[str]:
    """What is wrong with these roles, a sentence each.

    What the logins of running processes may is for `audit.protection`.
    """
    known = {role.name: role for role in found}
    wanted = (roles.AUDIT_OWNER, *roles.LOGINS)
    missing = [f"The role {name} is missing." for name in wanted if name not in known]
    limits = {roles.AUDIT_OWNER: frozenset[str](), roles.MIGRATOR: frozenset({roles.AUDIT_OWNER})}
    return missing + [
        fault
        for name, allowed in limits.items()
        if name in known
        for fault in _beyond(known[name], allowed)
    ]


def _beyond(role: Role, allowed: frozenset[str]) -> Iterator[str]:
    if role.powers:
        yield f"{role.name} has powers of an administrator ({', '.join(role.powers)})."
    if strange := [name for name in role.member_of if name not in allowed]:
        yield f"{role.name} is a member of {', '.join(strange)}."
    if role.name == roles.AUDIT_OWNER and role.may_log_in:
        yield f"{role.name}, who owns the record, may log in."


def record(here: Here) -> Verdict:
    """Whether the catalogue protects the record from change, as it must."""
    faults = protection.faults()
    if not faults:
        return ok("Nobody can change the record, or take anything from it.")
    return fail(
        " ".join(faults),
        "Find out who changed it. Then check the record: docs/howto/check-the-record.md.",
    )
