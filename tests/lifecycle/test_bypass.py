"""Calls that were not asked for: found, paged, answered, and found once."""

from __future__ import annotations

import csv
import io
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from audit.export import read_cell
from authz.decide import decide
from authz.models import Lease
from authz.outcomes import Report, Result, report_outcome
from governance.kernel import clock
from governance.kernel.errors import NotAllowed, NotFound
from lifecycle.bypass import importing, logs, permissions, selectors, services, sweep
from lifecycle.bypass.errors import BadMapping, ImportOver, NothingOpen
from lifecycle.models import LogImport, Notice, SeenCall
from registry.enums import GroupName
from registry.models import CredentialReference, Person
from tests.factories.authz import Desk, make_desk, make_person, make_tool, observed
from tests.lifecycle.bypassing import (
    LATER,
    make_log,
    read_in,
    row,
    security,
    sheet,
    states,
    sweep_all,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def desk() -> Desk:
    made = make_desk()
    # The record reaches back to before the calls of this test.
    decide([made.ask(parameters={"claim": "BEGIN"})], made.caller)
    return made


def allowed(desk: Desk, claim: str = "CL-1") -> None:
    (answer,) = decide([desk.ask(parameters={"claim": claim, "amount": 1})], desk.caller)
    assert answer.decision.effect == "allow"


def test_a_call_with_a_decision_is_matched_and_the_second_one_is_open(desk: Desk) -> None:
    log = make_log(desk.system)
    allowed(desk)

    read_in(log, [row(desk, "e-1"), row(desk, "e-2")])

    assert states(log) == ["waiting", "waiting"]
    sweep_all()
    assert states(log) == ["matched", "open"]


def test_calls_of_two_hours_do_not_use_one_decision_up_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "SPAN", timedelta(seconds=1))
    log, at = make_log(desk.system), clock.now()
    allowed(desk)

    read_in(log, [row(desk, "e-1", at), row(desk, "e-2", at + timedelta(seconds=3))])
    sweep_all()

    assert states(log) == ["matched", "open"]


def test_a_denied_call_covers_nothing_and_an_observed_one_does(desk: Desk) -> None:
    watched = make_desk(agent_fields=observed())
    for each in (desk, watched):
        decide([each.ask(parameters={"claim": "CL-1", "nonsense": True})], each.caller)
    log, other = make_log(desk.system), make_log(watched.system)

    read_in(log, [row(desk, "e-1")])
    read_in(other, [row(watched, "e-1")])
    sweep_all()

    assert (states(log), states(other)) == (["open"], ["matched"])


def test_a_decision_about_another_resource_tool_or_agent_covers_nothing(desk: Desk) -> None:
    log, tool, mate = make_log(desk.system), make_tool(desk.system), make_desk()
    allowed(desk, "CL-9")
    allowed(mate)

    read_in(log, [row(desk, "e-1"), row(desk, "e-2", event=tool.name)])
    sweep_all()

    assert states(log) == ["open", "open"]


def test_a_personal_resource_is_kept_as_its_hash_and_matched_by_it() -> None:
    desk = make_desk(system_fields={"personal_resource_ids": True})
    decide([desk.ask()], desk.caller)
    log = make_log(desk.system)

    read_in(log, [row(desk, "e-1")])
    sweep_all()

    (call,) = SeenCall.objects.filter(log=log)
    assert call.state == "matched"
    assert "CL-1" not in call.resource


def test_the_same_call_in_two_files_is_one_and_is_told_once(desk: Desk) -> None:
    log, rows = make_log(desk.system), [row(desk, "e-1"), row(desk, "e-2")]
    read_in(log, rows)
    sweep_all()

    again = read_in(log, rows)
    sweep_all()

    assert (again.counts["known"], again.counts["new"]) == (2, 0)
    assert states(log) == ["open", "open"]
    assert Notice.objects.filter(person=desk.owner, code="bypass.found").count() == 1


def test_what_is_found_pages_the_owner_and_security_and_stands_on_the_record(
    desk: Desk, mark: Any, records_after: Any
) -> None:
    guard, log = security(), make_log(desk.system)
    read_in(log, [row(desk, "e-1"), row(desk, "e-2")])
    began = mark()

    sweep_all()

    told = Notice.objects.filter(code="bypass.found")
    assert set(told.values_list("person", flat=True)) >= {desk.owner.pk, guard.pk}
    notice = told.get(person=desk.owner)
    assert (notice.severity, notice.path) == ("page", "/bypass/")
    assert notice.subject == f"{desk.agent.slug} called {desk.tool.name} without asking"
    said = [
        json.loads(bytes(each["body"]).split(b"\n")[0])["asked"]
        for each in records_after(began, kind="system")
    ]
    (found,) = [each for each in said if each["did"] == "bypass_found"]
    assert (found["calls"], found["system"]) == (2, desk.system.slug)


def test_a_call_that_was_just_made_waits_for_the_record_to_settle(desk: Desk) -> None:
    log = make_log(desk.system)
    read_in(log, [row(desk, "e-1")])

    assert sweep_all(clock.now()) == 0
    assert states(log) == ["waiting"]


def test_what_other_accounts_did_is_counted_and_not_kept(desk: Desk) -> None:
    log = make_log(desk.system, actions={"login": ""})
    rows = [
        row(desk, "e-1", actor="alice@example.org"),
        row(desk, "e-2", event="login"),
        row(desk, "e-3", event="refund.undo"),
        row(desk, "e-4", at=clock.now() - timedelta(days=9000)),
    ]
    by = security()
    kept = importing.keep_preview(log=log, raw=sheet(rows), file_name="log.csv", by=by)

    assert kept.strangers == [["alice@example.org", 1]]
    assert kept.unnamed == [["refund.undo", 1]]
    assert kept.wrong == [{"number": 5, "why": "The record of decisions begins after it."}]
    assert {name: kept.counts[name] for name in ("lines", "new", "strangers", "ignored")} == {
        "lines": 4,
        "new": 1,
        "strangers": 1,
        "ignored": 1,
    }
    done = importing.apply_import(import_id=kept.pk, by=by)
    assert (done.rows, done.strangers) == ([], [])
    assert list(SeenCall.objects.filter(log=log).values_list("tool", flat=True)) == ["refund.undo"]


def test_an_agent_is_found_by_each_of_its_accounts(desk: Desk) -> None:
    vault = CredentialReference.objects.create(agent=desk.agent, reference="vault://pay/desk")
    log = make_log(desk.system, identities={"svc-77": desk.agent.slug})
    names = [desk.client.client_id, desk.agent.slug, vault.reference, "svc-77"]

    kept = read_in(log, [row(desk, name, actor=name) for name in names])

    assert kept.counts["calls"] == 4
    assert set(SeenCall.objects.values_list("agent", flat=True)) == {desk.agent.pk}


def test_a_preview_is_applied_once_and_not_when_it_is_old(desk: Desk) -> None:
    log, by = make_log(desk.system), security()
    raw = sheet([row(desk, "e-1")])
    kept = importing.keep_preview(log=log, raw=raw, file_name="log.csv", by=by)
    importing.apply_import(import_id=kept.pk, by=by)
    old = importing.keep_preview(log=log, raw=raw, file_name="log.csv", by=by)
    LogImport.objects.filter(pk=old.pk).update(expires_at=clock.now())

    for pk in (kept.pk, old.pk):
        with pytest.raises(ImportOver):
            importing.apply_import(import_id=pk, by=by)

    sweep_all()
    old.refresh_from_db()
    assert (old.state, old.rows) == ("dropped", [])


def test_only_security_and_the_systems_owner_read_a_log_in(desk: Desk) -> None:
    someone, owner = make_person(), make_person()
    desk.system.owner = owner
    desk.system.save()
    log = make_log(desk.system, by=owner)

    for by in (someone, desk.owner, make_person(groups=[GroupName.PLATFORM_ADMIN])):
        with pytest.raises(NotAllowed):
            importing.keep_preview(log=log, raw=sheet([]), file_name="x", by=by)
        with pytest.raises(NotAllowed):
            logs.new_token(log_id=log.pk, by=by)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"columns": {"at": "time"}}, "Say which column holds agent."),
        ({"actions": {"x": "no.tool"}}, "has no tool no.tool."),
        ({"identities": {"x": "nobody"}}, "There is no agent nobody."),
        ({"zone": "Mars/Base"}, "Mars/Base is no time zone. Write Europe/Copenhagen."),
        ({"window_seconds": 0}, "The window is from 1 to 86400 seconds."),
    ],
)
def test_a_wrong_mapping_is_refused_with_a_sentence(
    desk: Desk, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadMapping) as refused:
        make_log(desk.system, **changed)

    assert refused.value.message.endswith(said)


# Leases


def leased(desk: Desk, system: Any) -> Lease:
    credential = CredentialReference.objects.create(
        agent=desk.agent, reference=f"vault://x/{desk.agent.slug}", system=system
    )
    at = clock.now()
    return Lease.objects.create(
        credential=credential,
        agent=desk.agent,
        record=clock.uuid7(at),
        at=at,
        expires_at=at + timedelta(minutes=1),
    )


def test_a_lease_in_which_nothing_was_asked_is_found_and_one_with_a_decision_is_not() -> None:
    silent, busy = make_desk(), make_desk()
    decide([silent.ask(parameters={"claim": "x", "nonsense": 1})], silent.caller)
    allowed(busy)
    first, second = leased(silent, silent.system), leased(busy, busy.system)
    unnamed = leased(make_desk(), None)

    sweep_all()
    sweep_all()

    found = dict(SeenCall.objects.values_list("lease", "state"))
    assert found == {first.pk: "open", second.pk: "matched"}
    assert unnamed.pk not in found
    assert Notice.objects.filter(person=silent.owner, code="bypass.found").count() == 1


# Answers


def opened(desk: Desk, many: int = 1) -> int:
    log = make_log(desk.system)
    read_in(log, [row(desk, f"e-{number}") for number in range(many)])
    sweep_all()
    return max(SeenCall.objects.filter(log=log).values_list("pk", flat=True))


def answer(desk: Desk, by: Person, how: Any = services.explain, **changed: Any) -> int:
    given = {"agent": desk.agent, "tool": desk.tool.name, "answer": "A drill.", "by": by}
    return int(how(**(given | changed)))


def test_security_explains_what_was_seen_and_what_came_since_waits_on(desk: Desk) -> None:
    guard, until = security(), opened(desk, 2)
    read_in(make_log(desk.system), [row(desk, "later")])
    sweep_all()

    assert answer(desk, guard, until=until) == 2

    assert sorted(SeenCall.objects.values_list("state", flat=True)) == [
        *("explained", "explained", "open"),
    ]
    with pytest.raises(NothingOpen):
        answer(desk, guard, until=until)


def test_who_may_say_what_to_a_call(desk: Desk) -> None:
    until, stranger = opened(desk), make_person()
    admin = make_person(groups=[GroupName.PLATFORM_ADMIN])
    for by in (desk.owner, admin, stranger):
        with pytest.raises(NotAllowed):
            answer(desk, by, until=until)
    for by in (admin, stranger):
        with pytest.raises(NotAllowed):
            answer(desk, by, services.confirm, until=until)
    guard = security()
    desk.agent.backup_owner = guard
    desk.agent.save()
    with pytest.raises(NotAllowed):
        answer(desk, guard, until=until)

    assert answer(desk, desk.owner, services.confirm, until=until) == 1
    assert SeenCall.objects.get().answered_by == desk.owner


def test_nobody_answers_for_an_agent_that_they_do_not_see(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = opened(desk)
    monkeypatch.setattr(permissions, "check_can_confirm", lambda *_: None)

    with pytest.raises(NotFound):
        answer(desk, make_person(), services.confirm, until=until)


# Pages and REST


def client_of(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_page_lists_by_agent_and_tool_to_those_who_see_the_agent(desk: Desk) -> None:
    opened(desk, 3)

    seen = client_of(desk.owner).get(reverse("bypass"))
    other = client_of(make_person()).get(reverse("bypass"))

    (group,) = seen.context["page"].object_list
    assert (group["agent__slug"], group["tool"], group["waits"]) == (
        *(desk.agent.slug, desk.tool.name, 3),
    )
    assert "Three calls have no decision" in seen.content.decode()
    assert list(other.context["page"].object_list) == []
    assert "No call went past Muster" in other.content.decode()


def test_a_filter_that_fits_nothing_says_so(desk: Desk) -> None:
    opened(desk)

    page = client_of(desk.owner).get(reverse("bypass"), {"state": "confirmed"})

    assert "No call fits" in page.content.decode()


def test_an_answer_on_the_page_is_kept_and_a_refused_one_says_why(desk: Desk) -> None:
    until = opened(desk)
    address = f"?tool={desk.tool.name}"
    client = client_of(desk.owner)

    refused = client.post(
        reverse("bypass_explain", args=[desk.agent.slug]) + address,
        {"explain-until": until, "explain-answer": "It is fine."},
        follow=True,
    )
    kept = client.post(
        reverse("bypass_confirm", args=[desk.agent.slug]) + address,
        {"confirm-until": until, "confirm-answer": "Its key was changed."},
        follow=True,
    )

    assert "Only security may explain a call away" in refused.content.decode()
    assert "One call is answered." in kept.content.decode()
    assert SeenCall.objects.get().state == "confirmed"


def test_the_csv_holds_no_formula(desk: Desk) -> None:
    log = make_log(desk.system)
    read_in(log, [row(desk, "e-1", object='=HYPERLINK("http://x")', event="@SUM(A1)")])
    sweep_all()

    answer_ = client_of(desk.owner).get(reverse("bypass_csv"))

    text = b"".join(answer_.streaming_content).decode()  # type: ignore[attr-defined]
    _, cells = csv.reader(io.StringIO(text))
    assert [each for each in cells if each.startswith(("=", "@", "+", "-"))] == []
    assert [read_cell(each) for each in cells if read_cell(each) != each] == [
        *("@SUM(A1)", "@SUM(A1)", '=HYPERLINK("http://x")'),
    ]


def test_a_file_is_uploaded_looked_at_and_taken_in(desk: Desk, tmp_path: Any) -> None:
    make_log(desk.system)
    client = client_of(security())
    raw = sheet([row(desk, "e-1"), ("soon", "x", "y", "", "")])

    shown = client.post(
        reverse("bypass_upload", args=[desk.system.slug]),
        {"file": SimpleUploadedFile("=log.csv", raw)},
        follow=True,
    )
    kept = LogImport.objects.get()
    client.post(reverse("bypass_import_end", args=[kept.pk, "apply"]))

    assert "would bring 1 new call" in shown.content.decode()
    assert "soon is no time." in shown.content.decode()
    assert SeenCall.objects.count() == 1
    wrong = client.post(
        reverse("bypass_upload", args=[desk.system.slug]),
        {"file": SimpleUploadedFile("x.csv", b"\xff\xff")},
    )
    assert wrong.status_code == 400
    assert "The file is not in UTF-8" in wrong.content.decode()


def test_a_log_is_said_on_its_page_and_its_token_is_shown_once(desk: Desk) -> None:
    client = client_of(security())
    place = reverse("bypass_log", args=[desk.system.slug])
    said = {name: f"c_{name}" for name in ("at", "agent", "action", "resource", "id")}
    numbers = {"window_seconds": 60, "ahead_seconds": 1}

    bad = client.post(place, {**said, **numbers, "actions": "no pair"})
    client.post(place, {**said, **numbers, "actions": f"a=b = {desk.tool.name}"})
    made = client.post(reverse("bypass_token", args=[desk.system.slug, "new"]))
    again = client.get(place)

    assert bad.status_code == 400
    log = desk.system.tool_log
    assert (log.actions, log.window_seconds) == ({"a=b": desk.tool.name}, 60)
    assert logs.PREFIX in made.content.decode()
    assert logs.PREFIX not in again.content.decode()


def test_only_those_who_may_read_a_log_in_see_its_page(desk: Desk) -> None:
    make_log(desk.system)

    answer_ = client_of(desk.owner).get(reverse("bypass_log", args=[desk.system.slug]))

    assert answer_.status_code == 403


def send(system: str, token: str, raw: bytes, kind: str = "text/csv") -> Any:
    return Client().post(
        reverse("api_tool_log", args=[system]),
        raw,
        content_type=kind,
        headers={"authorization": f"Bearer {token}"},
    )


def test_a_log_is_sent_by_its_own_token_alone_and_twice_is_once(desk: Desk) -> None:
    log, other = make_log(desk.system), make_log(make_desk().system)
    _, token = logs.new_token(log_id=log.pk, by=security())
    _, foreign = logs.new_token(log_id=other.pk, by=security())
    raw = sheet([row(desk, "e-1"), ("soon", "x", "y", "", "")])

    first, again = (send(desk.system.slug, token, raw) for _ in range(2))

    assert (first.status_code, first.json()["counts"]["new"]) == (200, 1)
    assert again.json()["counts"]["known"] == 1
    assert first.json()["wrong"] == [{"number": 3, "why": "soon is no time."}]
    for wrong in ("", foreign, token[:-1]):
        refused = send(desk.system.slug, wrong, raw)
        assert (refused.status_code, refused.json()["code"]) == (401, "tool_log.token")
    assert send("nothing", token, raw).status_code == 401
    assert send(desk.system.slug, token, raw, "application/json").status_code == 415
    assert send(desk.system.slug, token, b"\xff").json()["code"] == "tool_log.unreadable"
    logs.end_token(log_id=log.pk, by=security())
    assert send(desk.system.slug, token, raw).status_code == 401
    assert send(desk.system.slug, "", raw).status_code == 401


def test_allowed_and_never_reported_is_counted_for_a_day(desk: Desk) -> None:
    answers = [decide([desk.ask()], desk.caller)[0] for _ in range(3)]
    report_outcome(decision_id=answers[0].id, caller=desk.caller, report=Report(Result.SUCCESS))

    soon = selectors.unreported(desk.owner, clock.now() + timedelta(hours=2))

    assert selectors.unreported(desk.owner, clock.now()) == []
    # The fixture's own one too.
    assert [(each.agent, each.allowed, each.silent) for each in soon] == [(desk.agent.slug, 4, 3)]
    assert selectors.unreported(make_person(), clock.now() + timedelta(hours=2)) == []


def test_rest_lists_what_the_page_lists(desk: Desk) -> None:
    opened(desk, 2)

    found = client_of(desk.owner).get(reverse("api_bypass"), {"state": "open"}).json()
    nothing = client_of(make_person()).get(reverse("api_bypass")).json()

    assert [each["system"] for each in found["results"]] == [desk.system.slug] * 2
    assert nothing["results"] == []


@pytest.mark.django_db(transaction=True)
def test_two_logs_matched_at_once_use_a_decision_once() -> None:
    desk = make_desk()
    decide([desk.ask()], desk.caller)
    twins = [make_log(desk.system), make_log(make_desk().system)]
    for log in twins:
        SeenCall.objects.create(
            log=log, key="e-1", at=clock.now(), agent=desk.agent, tool=desk.tool.name
        )
    ready = threading.Barrier(2)

    def match(log_id: int) -> None:
        ready.wait()
        try:
            services.match_calls(
                log_id=log_id,
                agent_id=desk.agent.pk,
                tool=desk.tool.name,
                now=clock.now() + LATER,
            )
        finally:
            connection.close()

    threads = [threading.Thread(target=match, args=(log.pk,)) for log in twins]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(SeenCall.objects.values_list("state", flat=True)) == ["matched", "open"]


def test_the_table_itself_lets_no_decision_be_used_twice(desk: Desk) -> None:
    log = make_log(desk.system)
    allowed(desk)
    read_in(log, [row(desk, "e-1"), row(desk, "e-2")])
    sweep_all()
    used = SeenCall.objects.get(state="matched").decision

    with pytest.raises(IntegrityError), transaction.atomic():
        SeenCall.objects.filter(state="open").update(state="matched", decision=used)


def test_the_sweep_names_what_is_due_and_nothing_once_it_is_done(desk: Desk) -> None:
    log = make_log(desk.system)
    read_in(log, [row(desk, "e-1")])
    later = clock.now() + LATER

    before = list(sweep.due(later))
    sweep_all(later)

    assert before == [f"call/{log.pk}/{desk.agent.pk}/{desk.tool.name}"]
    assert list(sweep.due(later)) == []
