"""Requests of data subjects: two people, a needle that is gone, proofs that still hold."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from audit import selectors, services
from audit.enums import Kind
from audit.erasure import selectors as kept
from audit.errors import PayloadErased
from audit.export import csv_lines, jsonl_lines
from audit.models import Erasure, Record
from audit.proof_export import Span, span_lines
from audit.selectors import AuditScope, TrailFilters
from authz.models import FlowSession
from client.muster_client import verify
from compliance.enums import RequestState as State
from compliance.errors import NotErasable
from compliance.models import SubjectRequest
from compliance.subjects import certificate, erasing, rules
from compliance.subjects import export as exporting
from compliance.subjects import services as subjects
from governance.kernel import clock
from governance.kernel.errors import Conflict, NotAllowed
from registry import changes
from registry.enums import GroupName
from registry.errors import AlreadyDecided, OwnMatter
from registry.models import Person
from tests.factories.registry import make_agent, make_person

NEEDLE = "Needle-7c1f of Ada Example, 14 Hidden Street"
ALL = AuditScope(everything=True)
TODAY = date(2026, 11, 2)


@pytest.fixture
def worker() -> Callable[..., Any]:
    """`worker(call, …)` runs it as the worker's login, which alone erases."""

    def run(call: Callable[..., Any], *given: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE muster_worker")
            try:
                return call(*given)
            finally:
                if not connection.needs_rollback:
                    cursor.execute("SET ROLE muster_web")

    return run


def recorded(user: str = "", *, agent: str = "desk", text: str = NEEDLE, **more: Any) -> Record:
    given: dict[str, Any] = {"kind": Kind.OUTCOME, "actor": agent, "tier": "restricted", **more}
    return Record.objects.get(
        id=services.record(
            agent=agent,
            user=user,
            payload={"parameters": {"note": text}, "reasoning": text},
            **given,
        )
    )


def asked(subject: str, by: Person, kind: str = "erasure") -> SubjectRequest:
    return subjects.open_request(kind=kind, subject=subject, received=TODAY, by=by)


def approved(subject: str, *, by: Person | None = None) -> SubjectRequest:
    request = asked(subject, by or make_person(GroupName.SECURITY))
    change = subjects.ask_erasure(request_id=request.pk, by=request.opened_by)
    changes.agree(change_id=change.pk, by=make_person(GroupName.DPO))
    request.refresh_from_db()
    return request


def swept(worker: Callable[..., Any]) -> None:
    """Lay aside, and minutes later erase; a step that is done twice is done once."""
    now = clock.now()
    for at in (now, now + erasing.WAIT + timedelta(seconds=1)):
        for key in worker(erasing.due, at):
            assert worker(erasing.handle, key, at)
            assert not worker(erasing.handle, key, at)


def everything() -> bytes:
    """Every row of every table of the database, as text and as bytes."""
    parts: list[bytes] = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND NOT relispartition"
            " AND relnamespace IN ('public'::regnamespace, 'audit'::regnamespace)"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT t::text FROM {table} AS t")
            parts += [row.encode() for (row,) in cursor.fetchall()]
            cursor.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
                " AND atttypid = 'bytea'::regtype AND NOT attisdropped",
                [table],
            )
            for (column,) in cursor.fetchall():
                cursor.execute(f'SELECT "{column}" FROM {table} WHERE "{column}" IS NOT NULL')
                parts += [bytes(value) for (value,) in cursor.fetchall()]
    return b"\n".join(parts)


def read(record: Record, by: Person, field: str = "parameters") -> Any:
    return selectors.read_payload(record, field, by=by)


@pytest.mark.django_db
def test_what_is_erased_is_nowhere_and_every_proof_holds(
    worker: Any, seal_now: Any, tmp_path: Path, client: Client, settings: Any
) -> None:
    settings.MUSTER_APPROVER_MFA = False
    subject, dpo = make_person(), make_person(GroupName.DPO)
    mine, other = recorded(subject.pid), recorded(make_person().pid, text="somebody else's")
    seal_now()
    assert read(mine, dpo) == {"note": NEEDLE}
    held = "".join(exporting.export(asked(subject.pid, dpo, "access"), by=dpo))
    contents = {each["id"]: each["content"] for each in json.loads(held)["entries"]}
    assert contents[str(mine.pk)] == {"parameters": {"note": NEEDLE}, "reasoning": NEEDLE}

    request = approved(subject.pid)
    swept(worker)
    latest = seal_now()

    request.refresh_from_db()
    assert (request.state, request.erased, request.held) == (State.DONE, 1, 0)
    with pytest.raises(PayloadErased):
        read(mine, dpo)
    assert read(other, dpo) == {"note": "somebody else's"}
    assert kept.keys_of(kept.base_of(subject.pid)) == []
    client.force_login(dpo)
    pages = [
        client.get(f"/trail/{mine.pk}/"),
        client.get("/trail/", {"user": subject.pid}),
        client.get("/subjects/of/", {"subject": subject.pid}),
        client.get(f"/subjects/{request.pk}/"),
        client.post(f"/trail/{mine.pk}/payload/reasoning/"),
    ]
    assert [each.status_code for each in pages] == [200] * len(pages)
    shown = [
        *(each.content for each in pages),
        certificate.pdf_of(request.certificates.get()),
        bytes(request.certificates.get().document),
        "".join(exporting.export(asked(subject.pid, dpo, "access"), by=dpo)).encode(),
        *(each.encode() for each in csv_lines(TrailFilters(user=subject.pid), scope=ALL)),
        *(each.encode() for each in jsonl_lines(TrailFilters(user=subject.pid), scope=ALL)),
        everything(),
    ]
    assert [NEEDLE.encode() in each or b"Hidden Street" in each for each in shown] == (
        [False] * len(shown)
    )
    proof = tmp_path / "muster-proof.jsonl"
    proof.write_text("".join(span_lines(Span(), scope=ALL)))
    key = verify.read_key(_vkey())
    report = verify.check([proof], verify.Given([key], latest.note))
    assert (report.verdict, report.entries) == (verify.HOLDS, latest.size)


def _vkey() -> str:
    from audit.sealing.selectors import published_keys

    return next(each.vkey for each in published_keys() if each.kind == "checkpoint")


@pytest.mark.django_db
def test_it_is_on_the_record_by_ids_alone(worker: Any, mark: Any, records_after: Any) -> None:
    subject = make_person(name="Ada Example")
    recorded(subject.pid)
    marked = mark()

    request = approved(subject.pid)
    swept(worker)

    entries = records_after(marked, kind=Kind.ADMIN)
    said = [json.loads(bytes(each["body"]).split(b"\n")[0])["asked"] for each in entries]
    assert [each["did"] for each in said] == [
        "subject_request_opened",
        "change_proposed",
        "change_agreed",
        "subject_erasure_approved",
        "subject_keys_laid_aside",
        "subject_erased",
        "subject_certificate_issued",
    ]
    assert b"Ada" not in b"".join(bytes(each["body"]) for each in entries)
    assert said[5] == {
        "did": "subject_erased",
        "request": str(request.pk),
        "kind": "erasure",
        "erased": 1,
        "held": 0,
    }
    assert list(Erasure.objects.filter(request=str(request.pk)).values_list("cause")) == [
        ("request",)
    ]


@pytest.mark.django_db
def test_who_goes_on_working_is_sealed_under_a_new_key(worker: Any) -> None:
    subject, dpo = make_person(), make_person(GroupName.DPO)
    recorded(subject.pid)
    approved(subject.pid)
    now = clock.now()
    (key,) = worker(erasing.due, now)
    assert worker(erasing.handle, key, now)

    services.forget_holder_keys()
    later = recorded(subject.pid, text="after")
    swept(worker)

    assert read(later, dpo) == {"note": "after"}
    assert kept.keys_of(kept.base_of(subject.pid)) == [f"user:{subject.pid}/2"]


@pytest.mark.django_db
def test_what_was_planned_for_their_runs_goes_with_them(worker: Any) -> None:
    subject, dpo, desk = make_person(), make_person(GroupName.DPO), make_agent()
    plan = {"steps": [{"tool": "mail.send", "parameters": {"to": NEEDLE}}], "extracts": {}}
    run, shared = (
        FlowSession.objects.create(
            id=f"s_{name}",
            agent=desk,
            plan=plan,
            opened_at=clock.now(),
            expires_at=clock.now() + timedelta(hours=1),
        )
        for name in ("own", "shared")
    )
    said = [recorded(agent=desk.slug, kind=Kind.SESSION, session=each.pk) for each in (run, shared)]
    for session, user in ((run, subject), (shared, subject), (shared, make_person())):
        recorded(user.pid, agent=desk.slug, session=session.pk)

    approved(subject.pid)
    swept(worker)

    with pytest.raises(PayloadErased):
        read(said[0], dpo)
    assert read(said[1], dpo) == {"note": NEEDLE}
    assert list(FlowSession.objects.order_by("pk").values_list("plan", flat=True)) == [None, plan]


@pytest.mark.django_db
def test_it_waits_until_no_process_seals_under_the_key(worker: Any) -> None:
    subject = make_person()
    recorded(subject.pid)
    request, now = approved(subject.pid), clock.now()
    assert worker(erasing.handle, str(request.pk), now)

    early = now + timedelta(seconds=services.HOLDER_SECONDS)
    assert not worker(erasing.handle, str(request.pk), early)

    request.refresh_from_db()
    assert request.state == State.ASIDE
    assert kept.keys_of(kept.base_of(subject.pid)) == [f"user:{subject.pid}"]


@pytest.mark.django_db
def test_a_legal_hold_keeps_what_it_covers_until_two_people_end_it(worker: Any) -> None:
    subject, dpo = make_person(), make_person(GroupName.DPO)
    free, bound = recorded(subject.pid), recorded(subject.pid, resource="case-9")
    hold = subjects.set_hold(
        subject="case-9", ground="e", reason="Case 9 before the court.", by=dpo
    )

    request = approved(subject.pid)
    swept(worker)

    request.refresh_from_db()
    assert (request.state, request.erased, request.held) == (State.HELD, 1, 1)
    with pytest.raises(PayloadErased):
        read(free, dpo)
    assert read(bound, dpo) == {"note": NEEDLE}
    document = json.loads(bytes(request.certificates.get().document))
    assert [each["ground"] for each in document["holds"]] == ["17(3)(e): legal claims"]

    change = subjects.ask_lift(hold=hold, by=dpo)
    with pytest.raises(OwnMatter):
        changes.agree(change_id=change.pk, by=dpo)
    changes.agree(change_id=change.pk, by=make_person(GroupName.DPO))
    swept(worker)

    request.refresh_from_db()
    assert (request.state, request.erased, request.held) == (State.DONE, 2, 0)
    assert request.certificates.count() == 2
    with pytest.raises(PayloadErased):
        read(bound, dpo)


@pytest.mark.django_db
def test_a_resource_is_erased_entry_by_entry_under_whoevers_key(worker: Any) -> None:
    dpo = make_person(GroupName.DPO)
    address = services.index_resource("ada@example.org")
    theirs, other = recorded(resource=address), recorded(resource="invoice-1")

    request = approved(address)
    swept(worker)

    request.refresh_from_db()
    assert (request.state, request.erased) == (State.DONE, 1)
    with pytest.raises(PayloadErased):
        read(theirs, dpo)
    assert read(other, dpo) == {"note": NEEDLE}


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["web", "beat"])
def test_only_the_worker_erases(who: str, login: Any) -> None:
    import psycopg

    for call in (
        "audit.lay_aside('user:p_x', 'r')",
        "audit.erase_key('user:p_x', 'r', 'a', 'b')",
        "audit.erase_entries('{}', 'r', 'a', 'b')",
        "audit.erase_old('', 3000, 1, 'r')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login(f"muster_{who}").execute(f"SELECT {call}")


@pytest.mark.django_db
def test_even_the_worker_erases_nothing_without_two_names_and_no_key_in_use(login: Any) -> None:
    import psycopg

    worker = login("muster_worker")
    with pytest.raises(psycopg.errors.CheckViolation):
        worker.execute("SELECT audit.erase_entries('{}', 'r', 'same', 'same')")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="in use"):
        worker.execute("SELECT audit.erase_key('user:p_x', 'r', 'a', 'b')")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="30 days"):
        worker.execute("SELECT audit.erase_old('restricted', 29, 1, 'r')")


@pytest.mark.django_db
def test_nobody_agrees_to_their_own_and_only_the_dpo_agrees() -> None:
    dpo, security = make_person(GroupName.DPO), make_person(GroupName.SECURITY)
    change = subjects.ask_erasure(request_id=asked(make_person().pid, dpo).pk, by=dpo)
    own = subjects.ask_erasure(request_id=asked(dpo.pid, security).pk, by=security)

    for by, what, refusal in (
        (dpo, change, OwnMatter),
        (security, change, NotAllowed),
        (dpo, own, OwnMatter),
    ):
        with pytest.raises(refusal):
            changes.agree(change_id=what.pk, by=by)
    assert set(SubjectRequest.objects.values_list("state", flat=True)) == {State.OPEN}
    with pytest.raises(NotAllowed):
        asked(dpo.pid, make_person(GroupName.AUDITOR))
    with pytest.raises(NotAllowed):
        exporting.export(asked(dpo.pid, security), by=security)


@pytest.mark.django_db(transaction=True)
def test_two_who_agree_at_once_approve_once() -> None:
    subject = make_person()
    security, dpos = make_person(GroupName.SECURITY), [make_person(GroupName.DPO) for _ in range(4)]
    change = subjects.ask_erasure(request_id=asked(subject.pid, security).pk, by=security)
    together, came = Barrier(4), []

    def agree(by: Person) -> None:
        together.wait()
        try:
            changes.agree(change_id=change.pk, by=by)
            came.append("agreed")
        except (AlreadyDecided, Conflict):
            came.append("late")
        finally:
            connections.close_all()

    threads = [Thread(target=agree, args=(dpo,)) for dpo in dpos]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(came) == ["agreed", "late", "late", "late"]
    approvals = [
        each
        for each in Record.objects.filter(kind=Kind.ADMIN, user=subject.pid)
        if b"subject_erasure_approved" in bytes(each.body)
    ]
    assert len(approvals) == 1


@pytest.mark.django_db
def test_a_request_is_extended_once_within_its_month_and_closed_with_a_reason() -> None:
    dpo = make_person(GroupName.DPO)
    request = subjects.open_request(
        kind="access", subject=make_person().pid, received=clock.now().date(), by=dpo
    )
    first = request.due_at

    extended = subjects.extend_request(request_id=request.pk, months=2, why="Many.", by=dpo)
    with pytest.raises(Conflict):
        subjects.extend_request(request_id=request.pk, months=1, why="More.", by=dpo)
    closed = subjects.close_request(request_id=request.pk, refused=False, why="Sent.", by=dpo)

    assert extended.due_at > first + timedelta(days=55)
    assert (closed.state, closed.closed_by) == (State.DONE, dpo)
    with pytest.raises(NotErasable):
        subjects.close_request(
            request_id=asked(make_person().pid, dpo).pk, refused=False, why="Done.", by=dpo
        )


@pytest.mark.parametrize(
    ("received", "extended", "due"),
    [
        (date(2026, 1, 31), 0, date(2026, 3, 2)),  # 28 February is a Saturday
        (date(2026, 11, 27), 0, date(2026, 12, 28)),  # a Sunday gives way to Monday
        (date(2026, 11, 27), 2, date(2027, 3, 1)),  # three months; 27 February is a Saturday
        (date(2028, 1, 31), 0, date(2028, 2, 29)),
        (date(2026, 12, 15), 0, date(2027, 1, 15)),
    ],
)
def test_an_answer_is_due_after_a_month(received: date, extended: int, due: date) -> None:
    assert rules.due_day(received, extended=extended) == due


@pytest.mark.parametrize("before", State.values)
@pytest.mark.parametrize("after", State.values)
def test_a_closed_request_never_opens_again(before: str, after: str) -> None:
    closed = before in (State.DONE, State.REFUSED)

    assert not (closed and rules.may_follow(before, after))
    assert rules.may_follow(before, State.OPEN) is False
