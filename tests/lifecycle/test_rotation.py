"""Rotation by tier, with a moved clock: due, overlapping, failing, late, and what is not used."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from authz.decide import decide
from authz.oauth import services as oauth
from authz.oauth.credentials import Credentials
from authz.oauth.errors import InvalidClient
from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotAllowed, Unavailable
from lifecycle.models import KeptScope, Notice, Rotation
from lifecycle.rotation import selectors, services
from lifecycle.rotation.waiting import waiting_for
from registry import services as register
from registry import vault
from registry.identity import clients
from registry.models import Agent, AllowlistEntry, Client, CredentialReference
from registry.vault import back_ends
from tests.factories.authz import make_desk
from tests.factories.registry import make_agent, make_person, make_system, make_tool

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
BEGAN = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


class Moved:
    """The clock by which Muster reckons. The record's ids stay in the database's time."""

    def __init__(self) -> None:
        self.at = BEGAN

    def move_to(self, at: datetime) -> None:
        self.at = at

    def shift(self, by: timedelta) -> None:
        self.at += by


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Moved:
    moved, uuid7 = Moved(), clock.uuid7
    monkeypatch.setattr(clock, "now", lambda: moved.at)
    monkeypatch.setattr(clock, "uuid7", lambda at=None: uuid7(at or datetime.now(UTC)))
    return moved


def sweep(now: datetime | None = None) -> int:
    """One run of the sweep at the travelled instant; how much it did."""
    at = now or clock.now()
    return sum(services.handle(key, at) for key in services.due(at))


def with_secret(tier: str) -> tuple[Agent, str]:
    agent = make_agent(tier=tier)
    return agent, clients.issue_client(agent=agent, by=agent.owner).secret


def gets_token(agent: Agent, secret: str) -> bool:
    client_id = Client.objects.get(agent=agent).client_id
    caller = oauth.Caller(Credentials(client_id, secret=secret), "192.0.2.9")
    try:
        oauth.grant_token(caller, {"grant_type": "client_credentials"})
    except InvalidClient:
        return False
    return True


@pytest.mark.parametrize(
    ("tier", "days"), [("restricted", 30), ("confidential", 90), ("internal", 90)]
)
def test_a_secret_is_rotated_on_its_day_and_not_before(time: Moved, tier: str, days: int) -> None:
    agent, _ = with_secret(tier)

    time.move_to(BEGAN + days * DAY - timedelta(hours=13))
    before = sweep()
    time.move_to(BEGAN + days * DAY)
    on_its_day = sweep()

    rotation = Rotation.objects.get()
    assert (before, on_its_day) == (0, 1)
    assert (rotation.agent, rotation.key, rotation.state) == (agent, "client", "overlap")
    assert rotation.due_on == (BEGAN + days * DAY).date()


def test_an_installation_may_rotate_sooner(time: Moved, settings: Any) -> None:
    settings.MUSTER_ROTATION_DAYS = {**settings.MUSTER_ROTATION_DAYS, "internal": 10}
    with_secret("internal")

    time.move_to(BEGAN + 10 * DAY)

    assert sweep() == 1


def test_the_earlier_secret_works_until_the_overlap_ends(time: Moved) -> None:
    agent, first = with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)
    sweep()
    owner = agent.owner

    during = gets_token(agent, first)
    second = services.fetch_secret(rotation_id=Rotation.objects.get().pk, by=owner).secret
    both = (gets_token(agent, first), gets_token(agent, second))
    time.shift(7 * DAY - timedelta(minutes=1))
    last_minute = gets_token(agent, first)
    time.shift(timedelta(minutes=1))
    after = (gets_token(agent, first), gets_token(agent, second))
    sweep()

    assert (during, both, last_minute, after) == (True, (True, True), True, (False, True))
    client, rotation = Client.objects.get(agent=agent), Rotation.objects.get()
    assert (client.previous_digest, client.previous_until) == ("", None)
    assert (rotation.state, rotation.failure) == ("done", "")


def test_an_agent_fetches_its_new_secret_with_the_earlier_one_once(
    client: Any, time: Moved
) -> None:
    agent, first = with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)
    sweep()
    form = {"client_id": Client.objects.get(agent=agent).client_id, "client_secret": first}

    given, again = (client.post("/oauth/secret", form_of(form), FORM) for _ in range(2))

    assert (given.status_code, given["Cache-Control"]) == (200, "no-store")
    assert gets_token(agent, given.json()["client_secret"])
    assert (again.status_code, again.json()["error"]) == (409, "invalid_request")
    assert b"mst_" not in bytes(Client.objects.get(agent=agent).sealed_secret)


FORM = "application/x-www-form-urlencoded"


def form_of(form: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(form)


def test_a_suspended_agent_fetches_nothing(client: Any, time: Moved) -> None:
    agent, first = with_secret("internal")
    time.move_to(BEGAN + 90 * DAY)
    sweep()
    register.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Stop.")
    form = {"client_id": Client.objects.get(agent=agent).client_id, "client_secret": first}

    answer = client.post("/oauth/secret", form_of(form), FORM)

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


def test_nobody_else_fetches_it(time: Moved) -> None:
    with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)
    sweep()

    with pytest.raises(NotAllowed):
        services.fetch_secret(rotation_id=Rotation.objects.get().pk, by=make_person())


def test_an_unfetched_secret_is_told_twice_and_then_says_so(time: Moved) -> None:
    agent, first = with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)
    sweep()
    (entry,) = waiting_for(agent.owner)
    time.shift(6 * DAY + timedelta(hours=1))
    reminded = (sweep(), sweep())
    time.shift(DAY)
    sweep()

    codes = list(
        Notice.objects.filter(person=agent.owner, code__startswith="rotation")
        .order_by("made_at")
        .values_list("code", flat=True)
    )
    assert entry.expires_at == BEGAN + 37 * DAY
    assert reminded == (1, 0)
    assert codes == ["rotation.fetch", "rotation.remind", "rotation.not_fetched"]
    assert Rotation.objects.get().failure == "Nobody fetched the new secret in time."
    assert not gets_token(agent, first)
    late = services.fetch_secret(rotation_id=Rotation.objects.get().pk, by=agent.owner)
    assert gets_token(agent, late.secret)


def test_a_new_secret_by_hand_ends_the_overlap(time: Moved) -> None:
    agent, first = with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)
    sweep()

    issued = clients.rotate_secret(client=Client.objects.get(agent=agent), by=agent.owner)

    assert (gets_token(agent, first), gets_token(agent, issued.secret)) == (False, True)
    with pytest.raises(Conflict):
        services.fetch_secret(rotation_id=Rotation.objects.get().pk, by=agent.owner)


# The sweep itself (promise 22)


def state_of_all() -> tuple[Any, ...]:
    """What there is when a sweep has come through, but for what is random."""
    rows = Rotation.objects.order_by("agent", "key").values_list(
        "agent", "key", "due_on", "state", "attempts", "failure"
    )
    told = Notice.objects.filter(code__startswith="rotation").order_by("person", "code")
    versions = Client.objects.order_by("pk").values_list("pk", "version")
    return list(rows), list(told.values_list("person", "code")), list(versions)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_run_again_it_changes_nothing(time: Moved, times: int) -> None:
    agent, _ = with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)

    for _ in range(times):
        sweep()

    rows, told, _ = state_of_all()
    assert rows == [(agent.pk, "client", (BEGAN + 30 * DAY).date(), "overlap", 0, "")]
    assert told == [(agent.owner.pk, "rotation.fetch")]


def test_run_at_once_it_rotates_once(time: Moved) -> None:
    agents = [with_secret("restricted")[0] for _ in range(3)]
    time.move_to(BEGAN + 30 * DAY)
    now, barrier, broken = clock.now(), threading.Barrier(4), []
    keys = services.due(now)

    def work() -> None:
        try:
            barrier.wait(30)
            for key in keys:
                services.handle(key, now)
        except Exception as error:
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    rows, told, _ = state_of_all()
    assert broken == []
    assert [(row[0], row[3]) for row in rows] == [(agent.pk, "overlap") for agent in agents]
    assert sorted(told) == sorted((agent.owner.pk, "rotation.fetch") for agent in agents)


def test_after_three_missed_days_it_catches_up_with_the_true_due_date(
    time: Moved, mark: Any, records_after: Any
) -> None:
    agent, _ = with_secret("restricted")
    time.move_to(BEGAN + 33 * DAY)
    before = mark()

    did = (sweep(), sweep())

    assert did == (1, 0)
    assert Rotation.objects.get().due_on == (BEGAN + 30 * DAY).date()
    said = [each for each in records_after(before) if b'"rotation_begun"' in bytes(each["body"])]
    assert len(said) == 1
    assert (BEGAN + 30 * DAY).date().isoformat().encode() in bytes(said[0]["body"])
    assert Notice.objects.filter(person=agent.owner, code="rotation.fetch").count() == 1


@pytest.mark.parametrize("end", ["suspend", "draft"])
def test_what_is_not_active_is_not_rotated(time: Moved, end: str) -> None:
    agent, _ = with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)
    keys = services.due(clock.now())
    register.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Stop.")

    did = sum(services.handle(key, clock.now()) for key in keys)

    assert (did, services.due(clock.now()), Rotation.objects.count()) == (0, [], 0)


# Credentials


def stored(agent: Agent, *, value: str | None = None, tier: str = "restricted") -> Any:
    return vault.create(
        f"vault://{agent.slug}/api-key",
        value,
        agent=agent,
        by=agent.owner,
        system=make_system(tier=tier),
    )


def test_a_generated_secret_is_rotated_in_the_vault(time: Moved) -> None:
    agent = make_agent()
    credential = stored(agent)
    time.move_to(BEGAN + 30 * DAY)

    sweep()

    before = credential.version
    credential.refresh_from_db()
    rotation = Rotation.objects.get()
    assert (rotation.state, rotation.key) == ("overlap", f"reference-{credential.pk}")
    assert (credential.rotated_on, credential.version != before) == (
        (BEGAN + 30 * DAY).date(),
        True,
    )
    time.shift(2 * DAY)
    sweep()
    rotation.refresh_from_db()
    assert rotation.state == "done"


def test_what_muster_did_not_make_is_a_task_for_people(time: Moved) -> None:
    agent = make_agent()
    credential = stored(agent, value="given-by-the-bank-7f3a9c", tier="internal")
    time.move_to(BEGAN + 90 * DAY)
    sweep()
    (entry,) = waiting_for(agent.owner)
    rotation = Rotation.objects.get()

    services.confirm_rotated(rotation_id=rotation.pk, by=agent.owner)

    rotation.refresh_from_db()
    credential.refresh_from_db()
    assert entry.title == f"{agent.slug} has a key to rotate"
    assert (rotation.state, rotation.done_by) == ("done", agent.owner)
    assert credential.rotated_on == (BEGAN + 90 * DAY).date()
    assert (waiting_for(agent.owner), sweep()) == ([], 0)
    with pytest.raises(Conflict):
        services.confirm_rotated(rotation_id=rotation.pk, by=agent.owner)


def test_a_task_that_was_done_elsewhere_closes_by_itself(time: Moved) -> None:
    agent = make_agent()
    credential = stored(agent, value="given-by-the-bank-7f3a9c")
    time.move_to(BEGAN + 30 * DAY)
    sweep()

    vault.rotate(credential.reference, by=agent.owner, value="the-next-one-of-the-bank-55")
    sweep()

    assert Rotation.objects.get().state == "done"


def test_a_vault_that_fails_is_tried_again_and_told_once(
    time: Moved, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent()
    credential = stored(agent)
    time.move_to(BEGAN + 30 * DAY)
    real, down = back_ends.of(credential.reference).rotate, [True]

    def rotate(*given: Any) -> Any:
        if down[0]:
            raise Unavailable("The vault does not answer.")
        return real(*given)

    monkeypatch.setattr(back_ends.of(credential.reference), "rotate", rotate)
    sweep()
    first = Rotation.objects.get()
    at_once = sweep()
    time.shift(timedelta(hours=1))
    sweep()
    second = Rotation.objects.get()
    down[0] = False
    time.shift(timedelta(hours=6))
    sweep()
    third = Rotation.objects.get()

    assert (first.state, first.failure, first.attempts) == (
        *("failed", "The vault does not answer."),
        1,
    )
    assert (at_once, second.attempts, third.state) == (0, 2, "overlap")
    assert Notice.objects.filter(code="rotation.failed", person=agent.owner).count() == 1


def test_a_rotation_that_died_half_way_is_not_done_twice(time: Moved) -> None:
    agent = make_agent()
    credential = stored(agent)
    time.move_to(BEGAN + 30 * DAY)
    (key,) = services.due(clock.now())
    agent_id, name, _ = key.split(" ")
    services._open(int(agent_id), name, clock.now())
    vault.rotate(credential.reference, by=services.ACTOR)
    credential.refresh_from_db()
    version = credential.version

    early = sweep()
    time.shift(timedelta(minutes=11))
    sweep()

    credential.refresh_from_db()
    assert (early, credential.version, Rotation.objects.get().state) == (0, version, "done")


# Scope


def unused(agent: Agent, now: datetime) -> set[str]:
    return {each.name for each in selectors.scopes_of(agent, now) if each.unused}


def test_what_was_not_used_for_ninety_days_is_narrowed() -> None:
    desk = make_desk()
    idle = make_tool(desk.system)
    AllowlistEntry.objects.create(agent=desk.agent, tool=idle)
    (answer,) = decide([desk.ask()], desk.caller)
    assert answer.allowed
    now = clock.now()
    AllowlistEntry.history.filter(agent_id=desk.agent.pk).update(history_date=now - DAY)

    found = [unused(desk.agent, now + days) for days in (88 * DAY, 90 * DAY - DAY / 2, 91 * DAY)]

    assert found == [set(), {idle.name}, {idle.name, desk.tool.name}]


def test_only_the_unused_is_taken_and_a_kept_one_needs_a_reason(time: Moved) -> None:
    agent = make_agent()
    first = agent.allowlist.get().tool
    second = make_tool(first.system)
    register.set_allowlist_entry(agent_id=agent.pk, tool=second, by=agent.owner)
    for change in agent_changes(agent):
        agree(change)
    time.move_to(BEGAN + 91 * DAY)
    names = {each.name for each in selectors.scopes_of(agent, clock.now()) if each.to_narrow}

    with pytest.raises(Invalid):
        services.narrow_scope(agent_id=agent.pk, narrow=[], keep=[first.name], by=agent.owner)
    with pytest.raises(NotAllowed):
        services.narrow_scope(agent_id=agent.pk, narrow=[first.name], keep=[], by=make_person())
    with pytest.raises(Conflict):
        services.narrow_scope(agent_id=agent.pk, narrow=["x.y"], keep=[], by=agent.owner)
    gone = services.narrow_scope(
        agent_id=agent.pk,
        narrow=[second.name],
        keep=[first.name],
        by=agent.owner,
        reason="The yearly close needs it.",
    )

    assert (names, gone) == ({first.name, second.name}, 1)
    assert [entry.tool for entry in agent.allowlist.all()] == [first]
    assert KeptScope.objects.get().until == BEGAN + 181 * DAY
    assert [each.to_narrow for each in selectors.scopes_of(agent, clock.now())] == [False]


def agent_changes(agent: Agent) -> list[Any]:
    from registry.models import ProposedChange

    return list(ProposedChange.objects.filter(agent=agent.slug, state="proposed"))


def agree(change: Any) -> None:
    from registry import changes
    from tests.factories.registry import security

    changes.agree(change_id=change.pk, by=security())


def test_a_credential_that_nobody_read_is_revoked_with_its_scope(time: Moved) -> None:
    agent = make_agent()
    credential = stored(agent)
    time.move_to(BEGAN + 91 * DAY)

    services.narrow_scope(agent_id=agent.pk, narrow=[credential.reference], keep=[], by=agent.owner)

    credential.refresh_from_db()
    assert credential.state == "revoked"
    assert CredentialReference.objects.count() == 1


def test_a_lost_race_is_a_sentence() -> None:
    with pytest.raises(GovernanceError):
        services.confirm_rotated(rotation_id=0, by=make_person())


# Pages


def test_the_page_says_what_is_due_and_shows_a_new_secret_once(client: Any, time: Moved) -> None:
    agent, _ = with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)
    sweep()
    rotation = Rotation.objects.get()
    client.force_login(agent.owner)

    before = client.get("/rotation/")
    inbox = client.get(f"/inbox/?item=rotation:{rotation.pk}")
    shown = client.post(f"/rotation/{rotation.pk}/fetch/")
    again = client.post(f"/rotation/{rotation.pk}/fetch/", follow=True)

    assert b"One rotation is open" in before.content
    assert f"{agent.slug} has a new secret to fetch".encode() in inbox.content
    assert (shown.status_code, "no-store" in shown["Cache-Control"]) == (200, True)
    secret = shown.content.decode().split('id="client-secret" value="')[1].split('"')[0]
    assert gets_token(agent, secret)
    assert b"There is no new secret" in again.content


def test_a_stranger_sees_no_rotation(client: Any, time: Moved) -> None:
    with_secret("restricted")
    time.move_to(BEGAN + 30 * DAY)
    sweep()
    client.force_login(make_person())
    pk = Rotation.objects.get().pk

    answers = [client.post(f"/rotation/{pk}/{word}/").status_code for word in ("fetch", "confirm")]

    assert answers == [404, 404]
    assert b"No rotation is open" in client.get("/rotation/").content


def test_narrow_is_the_default_answer_on_the_page(client: Any, time: Moved) -> None:
    agent = make_agent()
    tool = agent.allowlist.get().tool
    time.move_to(BEGAN + 91 * DAY)
    client.force_login(agent.owner)

    page = client.get(f"/agents/{agent.slug}/scope/")
    unexplained = client.post(f"/agents/{agent.slug}/scope/", {"reason": ""})
    answer = client.post(f"/agents/{agent.slug}/scope/", {"narrow": [tool.name]})

    ticked = page.content.decode().split(f'value="{tool.name}"')[1].split(">")[0]
    assert "checked" in ticked
    assert b"Say why" in unexplained.content
    assert (answer.status_code, agent.allowlist.count()) == (302, 0)


def test_the_page_asks_a_fixed_number_of_questions(client: Any) -> None:
    owner = make_person()
    client.force_login(owner)
    client.get("/rotation/")
    counts = []
    for _ in (1, 3):
        for _ in range(2):
            agent = make_agent(owner=owner)
            clients.issue_client(agent=agent, by=owner)
        with CaptureQueriesContext(connection) as asked:
            assert client.get("/rotation/").status_code == 200
        counts.append(len(asked))

    assert counts[0] == counts[1]
