"""Emergency access: loud, short, for a few things, closed after. Promise 28."""

from __future__ import annotations

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, transaction
from django.test import Client

from audit import leaf
from governance.kernel import clock, emergency
from governance.kernel.errors import NotAllowed
from lifecycle.break_glass import selectors, services
from lifecycle.break_glass.errors import (
    AlreadyReviewed,
    CodeRefused,
    NotReviewed,
    TooShort,
)
from lifecycle.inbox.entries import queue_of
from lifecycle.models import BreakGlass, Notice, SealedCode
from registry import changes
from registry import services as register
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person, ProposedChange
from tests.factories.registry import make_agent, make_person, security

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
WHY = "The provider is away and an agent runs wild."
FOUND = "It was needed, and what was done was right."


def with_password(person: Person) -> Person:
    register.set_own_password(person_id=person.pk, password=PASSWORD, by=person)
    return person


def opened(person: Person | None = None, second: Person | None = None) -> BreakGlass:
    return services.open_with_second(
        person=person or security(), second=second or security(), reason=WHY
    )


def form(person: Person, second: Person | None = None, sealed: str = "") -> dict[str, str]:
    told = {"email": person.email, "password": PASSWORD, "reason": WHY, "sealed": sealed}
    if second:
        told |= {"second_email": second.email, "second_password": PASSWORD}
    return told


def come_in(person: Person, second: Person | None = None, sealed: str = "") -> Client:
    client = Client()
    answer = client.post("/emergency/", form(person, second, sealed))
    assert answer.status_code == 302, answer.content.decode()
    return client


def asked(record: Any) -> dict[str, Any]:
    return dict(leaf.parse_body(bytes(record["body"]))["asked"])


# The drill


def test_the_drill_without_provider_and_mail(
    settings: Any, mark: Any, records_after: Any, mailoutbox: list[Any]
) -> None:
    settings.MUSTER_LOCAL_SIGN_IN = "off"
    settings.EMAIL_BACKEND = "nowhere.at.all"
    person = with_password(make_person(GroupName.PLATFORM_ADMIN))
    second, auditor = with_password(security()), make_person(GroupName.AUDITOR)
    dpo, agent, before = make_person(GroupName.DPO), make_agent(), mark()

    client = come_in(person, second)
    looked = client.get(f"/agents/{agent.slug}/").status_code
    client.post(f"/agents/{agent.slug}/suspend/", {"reason": "It runs wild."})
    client.post("/emergency/end/")

    used = BreakGlass.objects.get()
    agent.refresh_from_db()
    assert (looked, agent.state, used.ended_at is not None) == (200, AgentState.SUSPENDED, True)
    assert client.get("/agents/").status_code == 302
    paged = Notice.objects.filter(code="break_glass.opened", severity="page")
    must_know = Person.objects.filter(groups__isnull=False).values_list("pk", flat=True)
    assert set(paged.values_list("person", flat=True)) == set(must_know)
    assert {person.pk, second.pk, auditor.pk, dpo.pk} <= set(must_know)
    tags = [asked(each).get("break_glass") for each in records_after(before)]
    assert len(tags) > 8
    assert set(tags) == {str(used.pk)}
    deeds = selectors.deeds(used)
    assert {each.record.id for each in deeds} == {each["id"] for each in records_after(before)}
    assert [each.did for each in deeds if each.record.agent == agent.slug] == ["agent_suspended"]

    reviewer = Client()
    reviewer.force_login(auditor)
    page = reviewer.get(f"/emergency/uses/{used.pk}/").content.decode()
    banner = reviewer.get("/agents/").content.decode()
    reviewer.post(f"/emergency/uses/{used.pk}/", {"review": FOUND})
    used.refresh_from_db()
    after = reviewer.get("/agents/").content.decode()

    assert ("Agent suspended" in page, str(person) in page) == (True, True)
    assert ("Emergency access was used" in banner, "Emergency access was used" in after) == (
        *(True, False),
    )
    assert (used.closed_by, used.review, used.slot) == (auditor, FOUND, None)


def test_its_review_waits_for_those_who_may_close_it() -> None:
    person, second, other = make_person(GroupName.PLATFORM_ADMIN), security(), security()
    auditor, dpo = make_person(GroupName.AUDITOR), make_person(GroupName.DPO)
    used = opened(person, second)

    queues = {each.pk: queue_of(each) for each in (person, second, other, auditor, dpo)}
    services.close(used_id=used.pk, by=auditor, review=FOUND)

    mine = {pk: [entry.kind for entry in queue.mine] for pk, queue in queues.items()}
    assert {pk for pk, kinds in mine.items() if "emergency" in kinds} == {other.pk, auditor.pk}
    assert queues[dpo.pk].everything == []
    (shown,) = queues[second.pk].others
    assert shown.why_not == "You had a part in this, so someone else must review it."
    assert queue_of(auditor).mine == []


def test_who_opened_it_lands_where_it_is_said_what_they_may_do() -> None:
    person, second = with_password(make_person(GroupName.DPO)), with_password(security())

    client = Client()
    answer = client.post("/emergency/", form(person, second), follow=True)

    page = answer.content.decode()
    assert ("You have emergency access" in page, "Find the agent" in page) == (True, True)
    assert "Review it" not in page


def test_it_ends_by_the_databases_time(client: Client) -> None:
    person, second = with_password(security()), with_password(security())
    client = come_in(person, second)
    used = BreakGlass.objects.get()

    assert used.expires_at - used.opened_at == timedelta(minutes=60)
    with time_machine.travel(clock.now() - timedelta(hours=5), tick=True):
        assert client.get("/agents/").status_code == 200
    services.close(used_id=used.pk, by=security(), review=FOUND)
    past = BreakGlass.objects.create(
        person=person,
        second=second,
        reason=WHY,
        opened_at=used.opened_at - timedelta(minutes=61),
        expires_at=used.opened_at - timedelta(minutes=1),
    )
    session = client.session
    session["break_glass"] = str(past.pk)
    session.save()
    with time_machine.travel(clock.now() - timedelta(hours=5), tick=True):
        gone = client.get("/api/v1/agents")

    assert (gone.status_code, client.session.get("_auth_user_id")) == (401, None)


def test_nobody_makes_it_longer() -> None:
    used = services.open_with_second(
        person=security(), second=security(), reason=WHY, minutes=100_000
    )

    assert used.expires_at - used.opened_at == timedelta(minutes=60)
    for change in (
        {"expires_at": used.expires_at + timedelta(minutes=1)},
        {"reason": "Another."},
        {"opened_at": used.opened_at + timedelta(hours=1)},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            BreakGlass.objects.filter(pk=used.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        used.delete()


# Who opens it, with what


@pytest.mark.parametrize("group", [None, GroupName.AUDITOR, GroupName.SOURCE_OWNER])
def test_only_those_who_operate_have_it(group: GroupName | None) -> None:
    other = make_person(*([group] if group else []))

    for one, two in ((other, security()), (security(), other)):
        with pytest.raises(NotAllowed):
            opened(one, two)
    assert BreakGlass.objects.count() == 0


def test_one_person_is_not_two() -> None:
    one = security()

    with pytest.raises(NotAllowed):
        opened(one, one)
    with pytest.raises(NotAllowed):
        services.seal_codes(by=one, second=one, count=1)
    with pytest.raises(TooShort):
        services.open_with_second(person=one, second=security(), reason="Because.")


def test_wrong_passwords_and_codes_open_nothing(client: Client) -> None:
    person, second = with_password(security()), with_password(security())
    Authenticator.objects.create(
        user=second, type=Authenticator.Type.RECOVERY_CODES, data={"seed": "x", "used_mask": 0}
    )
    Authenticator.objects.create(
        user=second, type=Authenticator.Type.TOTP, data={"secret": "JBSWY3DPEHPK3PXP"}
    )
    good = form(person, second)

    answers = [
        client.post("/emergency/", good | wrong).status_code
        for wrong in (
            *({"password": "wrong"}, {"second_password": "wrong"}, {"second_password": ""}),
            *({"second_email": "no@example.org"}, {"second_factor": "000000"}),
            *({"sealed": "AAAAA-BBBBB"}, {"reason": "Short."}, {"email": "a\0b@example.org"}),
        )
    ]

    assert (answers, BreakGlass.objects.count()) == ([200] * 8, 0)
    assert client.session.get("_auth_user_id") is None


def test_a_sealed_code_works_once_and_is_never_kept() -> None:
    person, codes = security(), services.seal_codes(by=security(), second=security(), count=2)

    used = services.open_with_code(person=person, code=codes[0].lower(), reason=WHY)
    services.close(used_id=used.pk, by=security(), review=FOUND)

    assert len(set(codes)) == 2
    assert codes[0] not in str(list(SealedCode.objects.values_list("digest", flat=True)))
    for code in (codes[0], "", "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"):
        with pytest.raises(CodeRefused):
            services.open_with_code(person=person, code=code, reason=WHY)
    again = services.open_with_code(person=person, code=codes[1], reason=WHY)
    assert again.code_id != used.code_id
    with pytest.raises(IntegrityError), transaction.atomic():
        SealedCode.objects.filter(pk=used.code_id).update(used_at=None)


def test_what_is_refused_leaves_the_code_good() -> None:
    (code,) = services.seal_codes(by=security(), second=security(), count=1)

    with pytest.raises(NotAllowed):
        services.open_with_code(person=make_person(), code=code, reason=WHY)
    with pytest.raises(TooShort):
        services.open_with_code(person=security(), code=code, reason="Short.")

    assert services.open_with_code(person=security(), code=code, reason=WHY).code_id


def test_new_codes_end_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = with_password(security()), with_password(security())
    (old,) = services.seal_codes(by=one, second=two, count=1)
    said = iter([one.email, two.email])
    monkeypatch.setattr("builtins.input", lambda _: next(said))
    asked_for = "lifecycle.management.commands.break_glass.getpass"
    monkeypatch.setattr(asked_for, lambda what: PASSWORD if "password" in what else "")
    out = StringIO()

    call_command("break_glass", "seal", count=3, stdout=out)

    *_, first, second, third = out.getvalue().split()
    assert (SealedCode.objects.count(), len({first, second, third})) == (3, 3)
    with pytest.raises(CodeRefused):
        services.open_with_code(person=one, code=old, reason=WHY)
    said = iter([one.email, two.email])
    monkeypatch.setattr(asked_for, lambda what: "wrong")
    with pytest.raises(CommandError):
        call_command("break_glass", "seal", stdout=out)


def test_codes_are_made_by_two_at_one_page(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
    one, two = security(), with_password(security())
    client = Client()
    client.force_login(one)
    told = {"count": "2", "second_email": two.email, "second_password": "wrong"}

    refused = client.post("/emergency/codes/", told)
    page = client.post("/emergency/codes/", told | {"second_password": PASSWORD})

    assert (refused.status_code, SealedCode.objects.count()) == (200, 2)
    codes = page.context["codes"]
    assert [code in page.content.decode() for code in codes] == [True, True]
    assert page.headers["Cache-Control"].count("no-store") == 1


# Once, until it is reviewed


def test_a_second_use_before_the_review_is_refused() -> None:
    first = opened()
    services.end(used_id=first.pk, by=first.person)

    with pytest.raises(NotReviewed):
        opened()
    with pytest.raises(IntegrityError), transaction.atomic():
        BreakGlass.objects.create(
            person=security(),
            second=security(),
            reason=WHY,
            opened_at=clock.now(),
            expires_at=clock.now(),
        )
    page = Client().get("/emergency/").content.decode()
    assert "nobody has reviewed that" in page
    services.close(used_id=first.pk, by=security(), review=FOUND)
    assert opened().slot == 1


def test_neither_who_used_it_nor_who_let_them_reviews_it() -> None:
    used = opened()

    for by in (used.person, used.second, make_person(GroupName.PLATFORM_ADMIN)):
        with pytest.raises(NotAllowed):
            services.close(used_id=used.pk, by=by, review=FOUND)
    for by in (used.person, used.second):
        with pytest.raises(IntegrityError), transaction.atomic():
            BreakGlass.objects.filter(pk=used.pk).update(
                slot=None, closed_by=by, closed_at=clock.now(), review=FOUND
            )
    with pytest.raises(TooShort):
        services.close(used_id=used.pk, by=security(), review="Fine.")
    services.close(used_id=used.pk, by=security(), review=FOUND)
    with pytest.raises(AlreadyReviewed):
        services.close(used_id=used.pk, by=security(), review=FOUND)
    with pytest.raises(IntegrityError), transaction.atomic():
        BreakGlass.objects.filter(pk=used.pk).update(review="Nothing happened at all.")


def test_its_review_ends_what_is_still_on() -> None:
    person = with_password(security())
    client = come_in(person, with_password(security()))
    services.close(used_id=BreakGlass.objects.get().pk, by=security(), review=FOUND)

    assert client.get("/agents/").url == "/accounts/login/"


# What it may not


def proposed(by: Person) -> ProposedChange:
    saved = register.set_groups(person_id=make_person().pk, groups=[GroupName.DPO], by=by)
    return saved.proposed[0]


def test_it_approves_nothing_in_view_rest_service_and_database() -> None:
    person = with_password(security())
    own, others = proposed(person), proposed(security())
    client = come_in(person, with_password(security()))
    used = BreakGlass.objects.get()

    answers = [
        client.post(f"/inbox/change:{change.pk}/agree/").status_code for change in (own, others)
    ] + [client.post("/api/v1/agents/none/approve").status_code for change in (own, others)]

    assert answers == [403] * 4
    for change in (own, others):
        with emergency.under(services.emergency_of(used)), pytest.raises(NotAllowed):
            changes.agree(change_id=change.pk, by=person)
        # Outside of its session as well: the database knows who has it.
        with pytest.raises(IntegrityError), transaction.atomic():
            ProposedChange.objects.filter(pk=change.pk).update(
                state="agreed", decided_by=person, decided_at=clock.now()
            )
    assert set(ProposedChange.objects.values_list("state", flat=True)) == {"proposed"}


def test_it_gives_no_word_for_an_agent_either() -> None:
    person, agent = security(), make_agent(AgentState.IN_REVIEW, tier="confidential")
    opened(person)

    with pytest.raises(IntegrityError), transaction.atomic():
        register.clear_agent(agent_id=agent.pk, by=person, basis="security")


ELSEWHERE = [
    ("post", "/agents/{slug}/resume/"),
    ("post", "/agents/{slug}/secret/"),
    ("post", "/agents/{slug}/credentials/store/"),
    ("post", "/emergency/codes/"),
    ("post", "/admin/registry/person/add/"),
    ("post", "/api/v1/people"),
    ("put", "/api/v1/tools/x"),
    ("patch", "/api/v1/agents/{slug}"),
    ("delete", "/api/v1/agents/{slug}"),
    ("get", "/accounts/2fa/"),
    ("post", "/accounts/password/change/"),
    ("post", "/nowhere"),
]


def test_nothing_else_is_sent() -> None:
    person, agent = with_password(security()), make_agent()
    client = come_in(person, with_password(security()))

    answers = {
        (method, path): getattr(client, method)(path.format(slug=agent.slug))
        for method, path in ELSEWHERE
    }

    assert {place for place, answer in answers.items() if answer.status_code != 403} == set()
    assert {
        place
        for place, answer in answers.items()
        if "Emergency access reads everything" not in answer.content.decode()
    } == set()


def test_who_has_it_reads_what_they_otherwise_may_not() -> None:
    person = make_person(GroupName.PLATFORM_ADMIN)
    used = opened(person)
    agent = make_agent()

    outside = person.audit_scope().everything
    with emergency.under(services.emergency_of(used)):
        inside, other = person.audit_scope().everything, make_person().audit_scope().everything
        seen = Agent.objects.visible_to(person).filter(pk=agent.pk).exists()

    assert (outside, inside, other, seen) == (False, True, False, True)


def test_nothing_is_tagged_outside(mark: Any, records_after: Any) -> None:
    opened()
    before = mark()

    make_agent()

    assert {asked(each).get("break_glass") for each in records_after(before)} == {None}


# At once


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("same_code", [True, False])
def test_of_many_at_once_one_comes_in(same_code: bool) -> None:
    people = [security() for _ in range(4)]
    codes = services.seal_codes(by=people[0], second=people[1], count=4)
    barrier, told = threading.Barrier(4), []

    def work(number: int) -> None:
        barrier.wait()
        code = codes[0 if same_code else number]
        try:
            services.open_with_code(person=people[number], code=code, reason=WHY)
            told.append("in")
        except (CodeRefused, NotReviewed) as error:
            told.append(error.code)
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (sorted(told).count("in"), BreakGlass.objects.count()) == (1, 1)
    assert SealedCode.objects.filter(used_at__isnull=False).count() == 1
