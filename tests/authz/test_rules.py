"""When a version may become what, and what a relationship weighs."""

import pytest
from django.core.management import call_command

from authz.enums import PolicyState
from authz.rules import POLICY_TRANSITIONS, may_move, reads_relation

ALLOWED = {
    ("draft", "proposed"),
    ("draft", "active"),
    ("draft", "retired"),
    ("proposed", "active"),
    ("proposed", "retired"),
    ("active", "superseded"),
    ("active", "retired"),
}
HEAD = 'permit(principal, action == Muster::Action::"a.b", resource)'


def test_every_state_to_every_other():
    moves = {(one.value, other.value) for one in PolicyState for other in PolicyState}

    assert set(POLICY_TRANSITIONS) == set(PolicyState)
    assert {move for move in moves if may_move(*move)} == ALLOWED


def test_state_diagram_has_not_drifted():
    call_command("policy_state_diagram", check=True)


@pytest.mark.parametrize(
    ("text", "of", "relation", "to", "reads"),
    [
        (f"{HEAD};", "record", "owner", "person", False),
        (f"{HEAD} when {{ principal in resource.owner }};", "record", "owner", "person", True),
        (f"{HEAD} when {{ principal in resource.owner }};", "record", "owner", "user", True),
        (f"{HEAD} when {{ principal in resource.owner }};", "record", "owner", "team", False),
        (f"{HEAD} when {{ resource.owner_team == [] }};", "record", "owner", "team", True),
        (f"{HEAD} unless {{ resource has owner }};", "record", "owner", "person", True),
        (f"{HEAD} when {{ principal in resource.owner }};", "record", "shared-with", "user", False),
        (f"{HEAD} when {{ resource.shared_with == [] }};", "record", "shared-with", "user", True),
        (f"{HEAD};", "record", "parent", "folder", False),
        (
            f'{HEAD} when {{ resource in Muster::Folder::"x" }};',
            *("record", "parent", "folder", True),
        ),
        (
            'permit(principal, action, resource in Muster::Folder::"x");',
            *("record", "parent", "folder", True),
        ),
        (
            'permit(principal in Muster::Team::"x", action, resource);',
            *("team", "member", "person", True),
        ),
        (
            'permit(principal in Muster::Role::"x", action in Muster::Action::"g", resource);',
            *("team", "member", "person", False),
        ),
        (
            f"{HEAD} when {{ principal in resource.owner_team }};",
            *("team", "member", "person", True),
        ),
        ("permit(", "record", "owner", "person", True),
        ("permit(", "record", "parent", "folder", True),
    ],
)
def test_which_relations_a_policy_reads(text, of, relation, to, reads):
    assert reads_relation([text], of=of, relation=relation, to=to) is reads


def test_one_policy_of_several_is_enough():
    texts = [f"{HEAD};", f"{HEAD} when {{ principal in resource.owner }};"]

    assert reads_relation(texts, of="record", relation="owner", to="person") is True
    assert reads_relation([], of="record", relation="owner", to="person") is False
