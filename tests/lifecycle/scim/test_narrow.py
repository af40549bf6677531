"""Changes of large groups: as the same change of a small one, and without its other members."""

import json
from typing import Any

import pytest
from django.db import connection

from lifecycle import asking
from lifecycle.models import ScimMember, ScimResource
from lifecycle.scim import log, storage
from lifecycle.scim.narrow import named_members
from tests.factories.scim import GROUP, Directory
from tests.factories.scim import make_directory as directory

ANN, BOB = "0199aaaa-0000-7000-8000-000000000001", "0199aaaa-0000-7000-8000-000000000002"


@pytest.fixture(autouse=True)
def _forget() -> None:
    asking.forget()
    log.forget_refused()


@pytest.mark.parametrize(
    ("operations", "named"),
    [
        ('[{"op": "add", "path": "members", "value": [{"value": "A"}, {"value": "B"}]}]', "AB"),
        ('[{"op": "Add", "path": "Members", "value": {"value": "A", "display": "Ann"}}]', "A"),
        ('[{"op": "add", "value": {"members": [{"value": "A"}], "displayName": "x"}}]', "A"),
        ('[{"op": "Remove", "path": "members[value eq \\"A\\"]"}]', "A"),
        ('[{"op": "Remove", "path": "members", "value": [{"value": "A"}]}]', "A"),
        ('[{"op": "replace", "path": "displayName", "value": "x"}]', ""),
        ('[{"op": "replace", "value": {"displayName": "x"}}]', ""),
        # These may be about others.
        ('[{"op": "remove", "path": "members"}]', None),
        ('[{"op": "replace", "path": "members", "value": [{"value": "A"}]}]', None),
        ('[{"op": "replace", "value": {"members": [{"value": "A"}]}}]', None),
        ('[{"op": "replace", "path": "members[value eq \\"A\\"].display", "value": "x"}]', None),
        ('[{"op": "replace", "path": "members[value eq \\"A\\"]", "value": {}}]', None),
        ('[{"op": "remove", "path": "members[value ne \\"A\\"]"}]', None),
        ('[{"op": "remove", "path": "members[display eq \\"Ann\\"]"}]', None),
        ('[{"op": "remove", "path": "members", "value": [{"display": "Ann"}]}]', None),
        ('[{"op": "remove", "path": "members", "value": [{"value": "ann"}]}]', None),
        ('[{"op": "add", "path": "members", "value": [{"value": "A", "VALUE": "B"}]}]', None),
        ('[{"op": "add", "Op": "replace", "path": "members", "value": {"value": "A"}}]', None),
        (f'[{{"op": "remove", "path": "{GROUP}:members"}}]', None),
        ('[{"op": "remove"}]', None),
        ('["remove"]', None),
        ("{}", None),
    ],
)
def test_which_members_a_change_is_about(operations: str, named: str | None) -> None:
    ids = {"A": ANN, "B": BOB}
    for letter, pk in ids.items():
        for mark in ('"', '\\"'):
            operations = operations.replace(f"{mark}{letter}{mark}", f"{mark}{pk}{mark}")

    found = named_members(json.loads(f'{{"Operations": {operations}}}'))

    assert (found if found is None else {str(pk) for pk in found}) == (
        named if named is None else {ids[letter] for letter in named}
    )


def make_group(source: Directory, members: list[str]) -> str:
    body = {
        "schemas": [GROUP],
        "displayName": "Desk",
        "members": [{"value": each} for each in members],
    }
    return f"/Groups/{source.ask('POST', '/Groups', body).json()['id']}"


def members_of(source: Directory, at: str) -> set[str]:
    return {each["value"] for each in source.get(at).json().get("members", [])}


@pytest.mark.django_db
@pytest.mark.parametrize("large", [0, 200])
def test_a_large_group_is_changed_as_a_small_one(
    monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(storage, "LARGE", large)
    source = directory()
    ids = [source.create(f"person{number}")["id"] for number in range(6)]
    at = make_group(source, ids[:4])
    seen: list[tuple[int, set[str], Any]] = []

    def change(*operations: dict[str, Any]) -> None:
        answer = source.patch(at, *operations)
        seen.append((answer.status_code, members_of(source, at), answer.headers.get("ETag")))

    change({"op": "Add", "path": "members", "value": [{"value": ids[4]}]})
    change({"op": "add", "path": "members", "value": [{"value": ids[4]}]})
    change({"op": "Remove", "path": f'members[value eq "{ids[0]}"]'})
    change({"op": "Remove", "path": "members", "value": [{"value": ids[1]}]})
    change({"op": "remove", "path": f'members[value eq "{ids[0]}"]'})
    change(
        {"op": "remove", "path": f'members[value eq "{ids[2]}"]'},
        {"op": "add", "value": {"members": [{"value": ids[5]}], "displayName": "Bureau"}},
    )
    change({"op": "add", "path": "members", "value": [{"value": ANN}]})
    change({"op": "replace", "path": "displayName", "value": "Office"})
    change({"op": "replace", "path": "members", "value": [{"value": ids[0]}]})
    change({"op": "remove", "path": "members"})

    zero, one, two, three, four, five = ids
    assert seen == [
        (204, {zero, one, two, three, four}, 'W/"2"'),
        (204, {zero, one, two, three, four}, 'W/"2"'),
        (204, {one, two, three, four}, 'W/"3"'),
        (204, {two, three, four}, 'W/"4"'),
        (204, {two, three, four}, 'W/"4"'),
        (204, {three, four, five}, 'W/"5"'),
        (400, {three, four, five}, None),
        (204, {three, four, five}, 'W/"6"'),
        (204, {zero}, 'W/"7"'),
        (204, set(), 'W/"8"'),
    ]


@pytest.mark.django_db
def test_who_is_not_named_is_neither_read_nor_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LARGE", 2)
    source = directory()
    ids = [source.create(f"person{number}")["id"] for number in range(5)]
    at = make_group(source, ids[:4])
    rows = set(ScimMember.objects.values_list("pk", flat=True))
    asked: list[str] = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append(f"{sql} {params}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        source.patch(at, {"op": "add", "path": "members", "value": [{"value": ids[4]}]})
    whole = source.ask(
        "PATCH",
        f"{at}?excludedAttributes=displayName",
        {"Operations": [{"op": "remove", "path": f'members[value eq "{ids[0]}"]'}]},
    ).json()

    said = " ".join(asked)
    assert [pk for pk in ids[:4] if pk in said] == []
    assert ids[4] in said
    assert len(rows - set(ScimMember.objects.values_list("pk", flat=True))) == 1
    assert {each["value"] for each in whole["members"]} == set(ids[1:])
    assert ScimResource.objects.filter(type="Group").count() == 1
