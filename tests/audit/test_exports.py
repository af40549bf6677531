"""Exports as OCSF and CEF, the text in all of them, and how they are taken."""

import asyncio
import base64
import csv
import hashlib
import io
import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jsonschema_rs
import pytest
from django.conf import settings as django_settings
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from audit import export, export_cef, export_ocsf, services
from audit.enums import Kind, Mode
from audit.export_text import plain, read_plain, written
from audit.models import Record
from audit.selectors import AuditScope, TrailFilters
from governance.kernel.streaming import PIECE, Streamed, pieces
from governance.kernel.version import VERSION
from registry.enums import GroupName
from registry.models import Person
from tests.audit.test_hostile_content import OWN, record_in_every_field
from tests.factories.registry import make_person

HOSTILE = [
    *OWN,
    "<script>alert(1)</script>",
    "a|b\\|c\\\\|d=e\\=f",
    "ends with a backslash\\",
    "C:\\users\\update\\u202e",
    "x act=deny suser=root",
    " =1+1",
    "　＝1+1",
    "\u200b=1",
    "＠SUM(A1)",
    "＋1",
    "－1",
    "\U000e0041\U000e0042 tags",
    "\u0085\u2028\u2029\x0b\x0c",
    "<14>1 2026-11-23T13:40:01Z h muster - decision - forged",
    "CEF:0|Muster|Muster|9|x|forged|9|",
    " leading and trailing ",
]
TEXTS = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
)
# What breaks a line for somebody: str.splitlines breaks at all of them.
ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
UNSEEN = (*ENDS, "\0", "\x1b", "\u202e", "\u2066", "\u200b", "\ufeff", "\U000e0041", "<", ">")
COLUMNS = (
    *("agent", "user", "gateway", "actor", "tool", "resource", "effect", "deciding_check", "code"),
    *("tier", "session", "mode"),
)


def entry(text: str = "desk", **more: Any) -> Record:
    """An entry that holds this text everywhere, as the record would give it."""
    known = dict.fromkeys(COLUMNS, text)
    body = json.dumps({"asked": {"did": text}, "judged": {"policies": [text], "reads": text}})
    return Record(
        **{
            **known,
            "id": uuid4(),
            "at": datetime(2026, 11, 23, 13, 40, 1, 123456, tzinfo=UTC),
            "xid": "7",
            "version": 1,
            "kind": Kind.OUTCOME,
            "parent": None,
            "body": f"{body}\n{{}}".encode(),
            "leaf": bytes(32),
            **more,
        }
    )


# Text


@given(TEXTS)
def test_text_is_one_visible_line_and_comes_back(text: str) -> None:
    shown = plain(text)

    assert read_plain(shown) == text
    assert [each for each in UNSEEN if each in shown] == []
    assert len(shown.splitlines()) <= 1


@given(st.recursive(TEXTS, lambda inner: st.dictionaries(TEXTS, inner), max_leaves=5))
def test_json_is_one_line_of_ascii_without_markup(value: Any) -> None:
    line = written({"value": value})

    assert json.loads(line) == {"value": value}
    assert line.isascii()
    assert [each for each in UNSEEN if each in line] == []


@given(TEXTS)
def test_no_cell_is_a_formula_and_each_comes_back(text: str) -> None:
    cell = export.write_cell(plain(text))

    assert not cell.lstrip().startswith(FORMULAS)
    assert read_plain(export.read_cell(cell)) == text


# CEF


@given(TEXTS)
def test_a_line_of_cef_holds_what_the_entry_does(text: str) -> None:
    record = entry(text)
    line = export.cef_line(record, 41)

    read = export_cef.read(line)

    assert [each for each in UNSEEN if each in line] == []
    labelled = {label: read.get(key, "") for key, label in export_cef.LABELLED.items()}
    assert labelled == {
        **dict.fromkeys(("agent", "tool", "resource", "check", "tier", "session"), text),
        "mode": text,
        "parent": "",
        "index": "41",
    }
    assert {name: read.get(name, "") for name in ("act", "reason", "suser", "suid")} == {
        "act": text,
        "reason": text,
        "suser": text,
        "suid": text,
    }
    assert (read["externalId"], read["rt"]) == (str(record.id), "1795441201123")
    assert (read["version"], read["vendor"], read["release"]) == ("CEF:0", "Muster", VERSION)
    assert read["severity"] == {"allow": "2", "hold": "5", "deny": "6"}.get(text, "1")
    # Nothing in a value adds a field.
    assert read.keys() <= {
        *("version", "vendor", "product", "release", "signature", "name", "severity"),
        *("rt", "externalId", "cat", "act", "outcome", "reason", "suser", "suid"),
        *("requestClientApplication", "MusterLeaf", *export_cef.LABELLED),
        *(f"{key}Label" for key in export_cef.LABELLED),
    }


FIELDS = {"cat": "kind", "act": "effect", "reason": "code", "suser": "actor", "suid": "user"} | {
    "requestClientApplication": "gateway",
    **{key: export_cef.COLUMN.get(label, label) for key, label in export_cef.LABELLED.items()},
}


@given(st.fixed_dictionaries({name: TEXTS for name in FIELDS.values() if name != "index"}), TEXTS)
def test_a_shortened_line_keeps_fields_whole_and_names_what_it_leaves_out(
    texts: dict[str, str], long: str
) -> None:
    given = {name: text * 40 if len(text) % 2 else text for name, text in texts.items()}
    record = entry(long, **given | {"parent": uuid4(), "leaf": bytes(range(32))})
    whole = export_cef.read(export.cef_line(record, 41))

    line = export.short_cef_line(record, 41, 900)

    read = export_cef.read(line)
    gone = set(read.pop("MusterLeftOut", "").split(",")) - {""}
    names = {key: export_cef.LABELLED.get(key.removesuffix("Label"), key) for key in whole}
    assert len(line.encode()) <= 900
    assert {key: read[key] for key in read if key not in gone} == {
        key: whole[key] for key in whole if names[key] not in gone
    }
    assert gone & {"rt", "externalId", "index", "MusterLeaf"} == set()
    assert bool(gone) == (line != export.cef_line(record, 41))


def test_a_shortened_line_leaves_out_what_is_long_and_least_important() -> None:
    record = entry("desk", resource="r" * 2000, session="s" * 300, kind=Kind.DECISION)

    line = export.short_cef_line(record, 41, 1000)

    assert export_cef.read(line)["MusterLeftOut"] == "resource"
    shorter = export.short_cef_line(record, 41, 650)
    assert export_cef.read(shorter)["MusterLeftOut"] == "resource,session"
    assert " cs1Label=agent cs1=desk " in shorter


def test_a_line_of_cef_as_a_siem_gets_it() -> None:
    record = entry("desk", kind=Kind.DECISION, effect="deny", tool="crm=x", code="flow.down|1")

    assert export.cef_line(record).split("|")[:7] == [
        *("CEF:0", "Muster", "Muster", VERSION, "flow.down\\"),
        *("1", "Call of crm=x: deny"),
    ]
    assert " cs2Label=tool cs2=crm\\=x " in export.cef_line(record)
    assert " outcome=failure reason=flow.down|1 " in export.cef_line(record)


# OCSF


@cache
def schema() -> Any:
    """The schema of the class as OCSF publishes it, with the profiles that events name.

    Made when it is first asked for, which takes a second.
    """
    made = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=export_ocsf.SCHEMA))
    return jsonschema_rs.validator_for(
        made.get_class_schema(class_name="api_activity", profiles=list(export_ocsf.PROFILES))
    )


def faults(event: Any) -> list[str]:
    return [f"{each.instance_path}: {each.message}" for each in schema().iter_errors(event)]


@settings(deadline=None)
@given(TEXTS)
def test_an_event_is_valid_and_one_line(text: str) -> None:
    line = export.ocsf_line(entry(text), 41)

    event = json.loads(line)
    assert faults(event) == []
    assert line.isascii()
    assert [each for each in UNSEEN if each in line] == []
    assert (event["class_uid"], event["metadata"]["sequence"]) == (6003, 41)


def test_the_schema_refuses_what_is_no_event() -> None:
    event = export_ocsf.event(entry(), {}, 1)
    assert faults(event) == []
    for name in ("actor", "api", "src_endpoint", "metadata", "time", "type_uid", "severity_id"):
        assert faults({key: value for key, value in event.items() if key != name}) != []
    assert faults({**event, "ai_agent": {"uid": "x"}}) != []
    assert faults({**event, "activity_id": 5}) != []


@pytest.mark.parametrize("kind", Kind.values)
@pytest.mark.parametrize("effect", ["", "allow", "deny", "hold"])
@pytest.mark.parametrize("mode", ["", *Mode.values])
def test_every_kind_effect_and_mode_is_valid(kind: str, effect: str, mode: str) -> None:
    empty = dict.fromkeys(COLUMNS, "")
    for columns in ({}, empty):
        record = entry(**{**columns, "kind": kind, "effect": effect, "mode": mode})
        event = json.loads(export.ocsf_line(record))
        assert faults(event) == []
        denied = effect == "deny" and mode == "enforce"
        assert (event["action_id"] == 2) is denied
        assert (event["disposition_id"] == 2) is denied


def test_an_event_says_who_did_what_and_what_decided() -> None:
    body = {
        "asked": {},
        "judged": {"policies": ["cap@v3"], "reads": "internal", "writes": "public"},
    }
    parent = UUID(int=7)
    record = entry(
        kind=Kind.DECISION,
        agent="desk",
        user="p_1",
        tool="crm.update",
        resource="customer/42",
        effect="deny",
        mode="enforce",
        session="run-1",
        gateway="edge",
        code="policy.forbid",
        deciding_check="policy",
        parent=parent,
        body=(json.dumps(body) + "\n{}").encode(),
    )

    event = json.loads(export.ocsf_line(record, 5))

    assert event["message"] == "Call of crm.update: deny"
    assert (event["activity_id"], event["type_uid"], event["time"]) == (3, 600303, 1795441201123)
    assert (event["status"], event["action"], event["disposition"]) == (
        *("Failure", "Denied", "Blocked"),
    )
    assert event["actor"] == {
        "app_uid": "desk",
        "app_name": "desk",
        "user": {"uid": "p_1", "type_id": 1, "type": "User"},
        "session": {"uid": "run-1"},
        "authorizations": [{"decision": "deny", "policy": {"uid": "cap@v3", "is_applied": True}}],
    }
    assert event["resources"] == [{"uid": "customer/42", "name": "42", "type": "customer"}]
    assert event["message_context"]["application"] == {"uid": "desk", "name": "desk"}
    assert event["unmapped"]["ai_agent"] == {"uid": "desk", "name": "desk", "instance_uid": "run-1"}
    assert event["src_endpoint"] == {"svc_name": "edge"}
    assert event["unmapped"]["parent"] == str(parent)
    assert event["raw_data"].encode() == bytes(record.body)
    assert "chain" not in event["unmapped"]


def test_a_call_that_was_handed_on_carries_the_user_and_every_agent_of_its_chain() -> None:
    link = "0190f3a0-0000-7000-8000-000000000001"
    said = {"asked": {"delegation": link}, "judged": {"givers": ["front", "planner"]}}
    body = (json.dumps(said) + "\n{}").encode()
    record = entry(kind=Kind.DECISION, agent="desk", user="p_1", effect="allow", body=body)

    event = json.loads(export.ocsf_line(record, 5))
    line = export_cef.read(export.cef_line(record, 5))

    assert faults(event) == []
    assert (event["actor"]["user"]["uid"], event["actor"]["app_uid"]) == ("p_1", "desk")
    assert event["unmapped"]["chain"] == ["front", "planner"]
    assert event["unmapped"]["delegation"] == link
    assert (line["suid"], line["cs1"]) == ("p_1", "desk")
    assert (line["MusterChain"], line["MusterDelegation"]) == ("front,planner", link)


@pytest.mark.parametrize("judged", [None, "no", {"givers": "front"}, {"givers": 7}])
def test_a_body_that_says_nothing_of_a_chain_exports_none(judged: Any) -> None:
    body = (json.dumps({"asked": "no", "judged": judged}) + "\n{}").encode()
    record = entry(kind=Kind.DECISION, agent="desk", body=body)

    assert "chain" not in json.loads(export.ocsf_line(record))["unmapped"]
    assert "MusterChain" not in export_cef.read(export.cef_line(record))


# What is written of entries of the record


@pytest.mark.django_db
def test_every_form_has_one_line_for_each_entry_and_loses_nothing() -> None:
    session = "hostile-exports"
    record_in_every_field(HOSTILE, session)
    filters, scope = TrailFilters(session=session), AuditScope(everything=True)
    stored = {str(each.id): each for each in Record.objects.filter(session=session)}

    table = "".join(export.csv_lines(filters, scope=scope))
    events = list(export.ocsf_lines(filters, scope=scope))
    lines = list(export.cef_lines(filters, scope=scope))

    assert len(table.splitlines()) - 1 == len(events) == len(lines) == len(HOSTILE)
    assert [each for each in UNSEEN if each in table.replace("\r\n", "")] == []
    header, *rows = csv.reader(io.StringIO(table, newline=""))
    assert tuple(header) == export.HEADER
    for cells in rows:
        row = export.read_row(cells)
        known = stored[row["id"]]
        assert (row["agent"], row["resource"], row["code"]) == (
            *(known.agent, known.resource, known.code),
        )
        assert base64.b64decode(row["body"]) == bytes(known.body)
        assert json.loads(row["asked"])["text"] in HOSTILE
    for line in events:
        event = json.loads(line)
        body = event["raw_data"].encode()
        assert faults(event) == []
        assert body == bytes(stored[event["metadata"]["uid"]].body)
        assert hashlib.sha256(b"\0" + body).hexdigest() == event["unmapped"]["leaf"]
    for line in lines:
        read = export_cef.read(line.removesuffix("\n"))
        known = stored[read["externalId"]]
        assert (read["cs1"], read["cs3"], read["suid"]) == (
            *(known.agent, known.resource, known.user),
        )


# Taking it


def ended(person: Person) -> list[tuple[int, bool]]:
    found = Record.objects.filter(kind=Kind.ACCESS, actor=person.pid).order_by("at", "id")
    said = [json.loads(bytes(each.body).split(b"\n")[0])["asked"] for each in found]
    return [
        (each["entries"], each["whole"]) for each in said if each["did"] == "trail_export_ended"
    ]


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setattr(django_settings, "MUSTER_APPROVER_MFA", False)
    return make_person(GroupName.AUDITOR)


@pytest.fixture
def auditor(client: Client, person: Person) -> Client:
    client.force_login(person)
    return client


def record_some(many: int) -> None:
    rows = [
        services.prepare_row(kind=Kind.SYSTEM, actor="system:test", tool=f"taken.{place}")
        for place in range(many)
    ]
    services.append_rows(rows)


@pytest.mark.django_db
def test_exports_are_taken_on_the_site_and_over_rest(auditor: Client, person: Person) -> None:
    record_some(3)
    query = {"kind": "system", "tool": "taken.1"}

    page = auditor.get("/trail/export/", query)
    got = {
        form: b"".join(auditor.get(f"/trail/export.{form}", query).streaming_content).decode()
        for form in ("csv", "jsonl", "ocsf", "cef")
    }
    accept = {"accept": "text/plain"}
    rest = auditor.get("/api/v1/records/export", {**query, "form": "cef"}, headers=accept)

    assert "One entry to take along" in page.content.decode()
    assert {form: len(text.splitlines()) for form, text in got.items()} == {
        "csv": 2,
        "jsonl": 1,
        "ocsf": 1,
        "cef": 1,
    }
    assert b"".join(rest.streaming_content).decode() == got["cef"]
    assert (rest["Muster-Entries"], rest["Cache-Control"]) == ("1", "no-store")
    assert ended(person) == [(1, True)] * 5
    wrong = auditor.get("/api/v1/records/export", {"form": "xml"})
    assert (wrong.status_code, wrong.json()["code"]) == (404, "no_such_form")
    assert auditor.get("/api/v1/records/export", {"since": "never"}).status_code == 400
    assert auditor.get("/trail/export.xml").status_code == 404


@pytest.mark.django_db
def test_an_export_holds_what_its_reader_may_see(client: Client) -> None:
    record_some(2)
    assert client.get("/api/v1/records/export").status_code == 401
    client.force_login(make_person())

    for form in ("jsonl", "ocsf", "cef"):
        assert b"".join(client.get(f"/trail/export.{form}").streaming_content) == b""


@pytest.mark.django_db
def test_an_export_that_was_cut_off_is_recorded_as_such(auditor: Client, person: Person) -> None:
    record_some(400)

    answer: Any = auditor.get("/trail/export.jsonl", {"kind": "system"})
    first = next(iter(answer.streaming_content))
    # What the end of the answer does as well; that would close the test's own connection.
    answer._iterator.close()

    assert len(first) < 2 * PIECE
    ((entries, whole),) = ended(person)
    assert (whole, 0 < entries < 400) == (False, True)


def test_an_asynchronous_server_sends_while_lines_are_made() -> None:
    made = 0

    def lines() -> Iterator[str]:
        nonlocal made
        for _ in range(10_000):
            made += 1
            yield "x" * 1023 + "\n"

    async def take_two() -> list[int]:
        found = []
        async for piece in Streamed(lines(), content_type="text/plain", name="x"):
            found.append(made)
            assert len(piece) == PIECE
            if len(found) == 2:
                return found
        raise AssertionError

    assert asyncio.run(take_two()) == [64, 128]


def test_lines_that_are_not_taken_are_not_made() -> None:
    done = []

    def lines() -> Iterator[str]:
        try:
            yield "x" * PIECE
            yield "never"
        finally:
            done.append(True)

    taken = pieces(lines())
    next(taken)
    taken.close()

    assert done == [True]


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
