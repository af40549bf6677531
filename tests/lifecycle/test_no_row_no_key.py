"""Promise 17, as a state machine: no row, no key, while the row changes state and after.

Every way to get something, alone and at the same moment as a change of the row. What must hold is
asked of the database after each step: nothing was given that the row's own record, in the order
in which it was written, did not stand for; and nothing is given once a change was acknowledged.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import sampled_from

from authz import leases
from authz.asks import Ask, Caller
from authz.decide import decide
from authz.engine.types import SubjectKind, Token
from authz.models import Role
from authz.oauth import failures
from authz.oauth import services as oauth
from authz.oauth.credentials import Credentials
from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle.decommissioning import working
from lifecycle.models import EndRun
from registry import services, vault
from registry.enums import Employment
from registry.identity import clients, providers, signatures, tokens
from registry.models import Agent, Client, Person
from tests.factories.registry import SWEEP, make_draft, make_person, make_system, make_tool
from tests.registry.peers import Keycloak, configure

pytestmark = pytest.mark.django_db(transaction=True)

STATES = "'agent_draft','agent_in_review','agent_active','agent_suspended'"
ENDS = "'agent_decommissioning','agent_decommissioned'"
GIVES = (
    "'token_issued','client_issued','secret_rotated','secret_rotated_with_overlap',"
    "'secret_fetched','keys_set','external_client_live'"
)
TOLD = """
WITH told AS (
    SELECT at, effect,
           split_part(convert_from(body, 'UTF8'), E'\\n', 1)::jsonb -> 'asked' ->> 'did' AS did
    FROM audit.record WHERE agent = %s
)
"""
# What was given while the newest state on the record was another one than active.
WITHOUT_ROW = f"""{TOLD}
SELECT did FROM told AS given WHERE did IN ({GIVES}) AND (
    SELECT did FROM told AS state WHERE did IN ({STATES},{ENDS}) AND state.at <= given.at
    ORDER BY state.at DESC LIMIT 1
) IS DISTINCT FROM 'agent_active'
"""
# What was given after everyone knew that nothing is to be given any more.
AFTERWARDS = f"""{TOLD}
SELECT coalesce(did, effect) FROM told
WHERE (did IN ({GIVES}) OR effect = 'allow') AND at > %s
"""
ACTIVE = """
SELECT a.state = 'active' AND p.employment <> 'left', clock_timestamp()
FROM registry_agent a JOIN registry_person p ON p.id = a.owner_id WHERE a.id = %s
"""
LIVE_OUTSIDE = "SELECT count(*) FROM registry_externalclient WHERE agent_id = %s AND state = 'live'"
LEASES = """
SELECT count(*) FROM authz_lease WHERE agent_id = %s AND ended_at IS NULL
AND expires_at > clock_timestamp()
"""
NEVER_ACTIVE = """
SELECT count(*) FROM registry_client c JOIN registry_agent a ON a.id = c.agent_id
WHERE a.id = %s AND a.activated_at IS NULL AND (c.secret_digest <> '' OR c.jwks <> '{}'::jsonb)
"""


# What an agent still holds although its end says that it is done.
LEFT_OVER = """
SELECT count(*) FROM registry_agent a JOIN lifecycle_endrun r ON r.agent_id = a.id
LEFT JOIN registry_client c ON c.agent_id = a.id
WHERE a.id = %s AND r.state = 'done' AND (
    a.state <> 'decommissioned'
    OR coalesce(c.secret_digest, '') <> '' OR coalesce(c.previous_digest, '') <> ''
    OR coalesce(c.jwks, '{}'::jsonb) <> '{}'::jsonb OR length(c.sealed_secret) > 0
    OR EXISTS (SELECT FROM registry_credentialreference k
               WHERE k.agent_id = a.id AND k.state NOT IN ('revoked', 'destroyed'))
    OR EXISTS (SELECT FROM authz_hold h WHERE h.agent = a.slug AND h.state = 'open')
    OR EXISTS (SELECT FROM authz_flowsession s WHERE s.agent_id = a.id AND s.ended_at IS NULL)
)
"""


def asked(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


class Row(RuleBasedStateMachine):
    """One agent, its owner, and everything that anyone may try for it."""

    @initialize()
    def drafted(self) -> None:
        self.owner: Person = make_person()
        tool = make_tool(make_system(tier="internal"))
        self.agent = make_draft(owner=self.owner, tool=tool)
        self.tool = tool.name
        role = Role.objects.create(slug=f"role-of-{self.agent.slug}")
        role.tools.add(tool)
        role.agents.add(self.agent)
        self.key = signatures.new_key("own")
        self.credential = f"vault://{self.agent.slug}/key"
        self.secrets: list[str] = []
        self.stopped_at: Any = None

    # What happens to the row

    def submit(self) -> None:
        services.submit_for_review(agent_id=self.agent.pk, by=self.owner)

    def withdraw(self) -> None:
        services.withdraw_from_review(agent_id=self.agent.pk, by=self.owner)

    def attest(self) -> None:
        services.attest_agent(agent_id=self.agent.pk, by=self.owner)

    def suspend(self) -> None:
        services.suspend_agent(agent_id=self.agent.pk, by=self.owner, reason="Stop.")

    def resume(self) -> None:
        services.resume_agent(agent_id=self.agent.pk, by=self.owner)

    def begin(self) -> None:
        services.begin_decommissioning(agent_id=self.agent.pk, by=SWEEP, reason="Over.")

    def finish(self) -> None:
        services.finish_decommissioning(agent_id=self.agent.pk, by=SWEEP)

    def work_off(self) -> None:
        for run in EndRun.objects.filter(agent=self.agent):
            EndRun.objects.filter(pk=run.pk).update(next_try_at=run.started_at)
            working.carry_on(run_id=run.pk)

    def leave(self) -> None:
        day = clock.now().date()
        services.set_employment(
            person_id=self.owner.pk, employment=Employment.LEFT, last_day=day, by=SWEEP
        )

    def come_back(self) -> None:
        services.set_employment(person_id=self.owner.pk, employment=Employment.EMPLOYED, by=SWEEP)

    # What may be tried

    def client(self) -> Client:
        found = Client.objects.filter(agent=self.agent).first()
        return found or Client(agent=Agent.objects.get(pk=self.agent.pk), client_id="none")

    def issue(self) -> None:
        self.secrets.append(clients.issue_client(agent=self.agent, by=self.owner).secret)

    def rotate(self) -> None:
        self.secrets.append(clients.rotate_secret(client=self.client(), by=self.owner).secret)

    def overlap(self) -> None:
        until = clock.now().replace(year=clock.now().year + 1)
        clients.rotate_with_overlap(client=self.client(), by=SWEEP, until=until)

    def fetch(self) -> None:
        self.secrets.append(clients.fetch_secret(client=self.client(), by=None).secret)

    def set_keys(self) -> None:
        public = signatures.public_jwks(self.key)
        clients.set_jwks(client=self.client(), jwks=public, by=self.owner)

    def token_by_secret(self) -> None:
        for secret in self.secrets[-2:]:
            self.token(Credentials(self.client().client_id, secret=secret))

    def token_by_key(self) -> None:
        client_id = self.client().client_id
        now = int(clock.now().timestamp())
        jti = base64.urlsafe_b64encode(clock.uuid7().bytes).decode()
        claims = {"iss": client_id, "sub": client_id, "aud": tokens.issuer()}
        body = json.dumps({**claims, "exp": now + 60, "jti": jti}).encode()
        signed = signatures.sign(body, key=self.key, kid="own", typ="JWT")
        self.token(Credentials(client_id, assertion=signed))

    def token(self, credentials: Credentials) -> None:
        # Failures are counted by source; here only what is given counts.
        failures.forget()
        caller = oauth.Caller(credentials, "192.0.2.7")
        oauth.grant_token(caller, {"grant_type": "client_credentials"})

    def ask(self) -> None:
        ask = Ask(SubjectKind.AGENT, self.tool, agent=self.agent.slug, parameters={"account": "1"})
        token = Token(self.client().version, clock.uuid7().hex)
        decide([ask], Caller("agent", self.agent.slug, token))

    def outside(self) -> None:
        providers.register(agent_id=self.agent.pk, provider="house")

    def store(self) -> None:
        agent = Agent.objects.get(pk=self.agent.pk)
        vault.create(self.credential, None, agent=agent, by=self.owner)

    def lease(self) -> None:
        token = Token(self.client().version, clock.uuid7().hex)
        caller = Caller("agent", self.agent.slug, token)
        leases.lease(reference=self.credential, caller=caller)

    MOVES = (
        *("submit", "withdraw", "attest", "suspend", "resume", "begin", "finish", "leave"),
        "work_off",
    )
    PATHS = (
        *("issue", "rotate", "overlap", "fetch", "set_keys", "token_by_secret", "token_by_key"),
        *("ask", "outside", "store", "lease"),
    )

    # Steps

    @rule(name=sampled_from((*MOVES[:5], "attest", "suspend", "resume", *MOVES[5:], "come_back")))
    def the_row_moves(self, name: str) -> None:
        attempt(getattr(self, name))
        self.acknowledged()

    @rule()
    def goes_live_again(self) -> None:
        for name in ("come_back", "attest", "resume"):
            attempt(getattr(self, name))
        self.acknowledged()

    @rule()
    def everything_is_tried(self) -> None:
        for name in self.PATHS:
            attempt(getattr(self, name))

    @rule(
        move=sampled_from(
            ("suspend", "resume", "attest", "begin", "leave", "come_back", "work_off")
        ),
        first=sampled_from(PATHS),
        second=sampled_from(PATHS),
    )
    def at_the_same_moment(self, move: str, first: str, second: str) -> None:
        at_once([getattr(self, name) for name in (move, first, second)])
        self.acknowledged()

    def acknowledged(self) -> None:
        """Whoever changed the row has heard that it is changed."""
        ((active, now),) = asked(ACTIVE, self.agent.pk)
        self.stopped_at = None if active else self.stopped_at or now

    # What must hold

    @invariant()
    def nothing_was_given_without_a_row(self) -> None:
        assert asked(WITHOUT_ROW, self.agent.slug) == []

    @invariant()
    def nothing_is_given_once_it_was_acknowledged(self) -> None:
        if self.stopped_at:
            assert asked(AFTERWARDS, self.agent.slug, self.stopped_at) == []

    @invariant()
    def nothing_is_held_without_a_row(self) -> None:
        ((active, _),) = asked(ACTIVE, self.agent.pk)
        if not active:
            assert asked(LIVE_OUTSIDE, self.agent.pk) == [(0,)]
            assert asked(LEASES, self.agent.pk) == [(0,)]
        assert asked(NEVER_ACTIVE, self.agent.pk) == [(0,)]

    @invariant()
    def nothing_is_left_of_what_was_worked_off(self) -> None:
        assert asked(LEFT_OVER, self.agent.pk) == [(0,)]


def attempt(act: Callable[[], None]) -> None:
    try:
        act()
    except GovernanceError:
        return


def at_once(acts: list[Callable[[], None]]) -> None:
    """All of them, each in a thread with a connection of its own, from one moment on."""
    barrier, broken = threading.Barrier(len(acts)), []

    def work(act: Callable[[], None]) -> None:
        try:
            barrier.wait(30)
            attempt(act)
        except Exception as error:
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []


@pytest.fixture(autouse=True)
def house(tmp_path: Path, settings: Any) -> Iterator[Keycloak]:
    found = Keycloak(tmp_path)
    configure(settings, found, tmp_path)
    yield found
    found.close()


def run(examples: int, steps: int) -> None:
    # The first failure is enough: it prints its steps, threads may not fail twice alike, and to
    # find the shortest one takes minutes.
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Row,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate],
        ),
    )


def test_no_row_no_key() -> None:
    run(examples=8, steps=20)


# What goes through where a guard is gone: the guard, and what is tried, the last step in vain.
UNGUARDED = {
    "keys": ("goes_live_again", "suspend", "issue"),
    "tokens": ("goes_live_again", "issue", "suspend", "token_by_secret"),
    "outside": ("goes_live_again", "suspend", "outside"),
    "follow": ("goes_live_again", "outside", "leave"),
    "ended": ("goes_live_again", "issue", "begin", "work_off"),
}


def walk(guard: str) -> None:
    """The steps by hand, with what must hold after each."""
    row = Row()
    row.drafted()
    for step in UNGUARDED[guard]:
        attempt(getattr(row, step))
        row.acknowledged()
        row.nothing_was_given_without_a_row()
        row.nothing_is_given_once_it_was_acknowledged()
        row.nothing_is_held_without_a_row()
        row.nothing_is_left_of_what_was_worked_off()


@pytest.mark.parametrize("guard", UNGUARDED)
def test_a_guard_that_is_gone_is_found(monkeypatch: pytest.MonkeyPatch, guard: str) -> None:
    """Each path with its guard and without: what must hold must fail, or it would prove nothing."""
    walk(guard)
    take_away(guard, monkeypatch)

    with pytest.raises(AssertionError):
        walk(guard)


def take_away(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if guard == "keys":
        monkeypatch.setattr(clients, "_check_active", lambda row: None)
    elif guard == "tokens":
        monkeypatch.setattr(clients.Bearer, "refusal", "")
    elif guard == "outside":
        from registry.identity.providers import services as outside

        monkeypatch.setattr(outside.guard, "require_active", lambda agent: None)
        monkeypatch.setattr(outside.guard, "refusal", lambda agent: None)
    elif guard == "ended":
        monkeypatch.setattr(clients, "has_keys", lambda client: False)
    else:
        monkeypatch.setattr(providers, "follow", lambda agent: None)
