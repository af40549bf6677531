"""Inventories against the register: all of it or nothing, once and never twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from audit.errors import AuditUnavailable
from authz.models import Policy, Relationship, Role, Signature, ToxicCombination
from governance.kernel.errors import Invalid
from lifecycle.apply.execute import Outcome
from lifecycle.apply.export import export_text
from lifecycle.apply.problems import BadInventory
from lifecycle.apply.render import plan_lines
from registry.errors import NotBootstrapping
from registry.models import Agent, Person, ProposedChange, System, Tool
from tests.lifecycle.inventory import ADMIN, NEW_AGENT, OWNER, apply_folder, states, waiting

pytestmark = pytest.mark.django_db


def test_second_application_does_and_records_nothing(
    loaded: Outcome, mark: Any, records_after: Any
) -> None:
    before = mark()

    outcome = apply_folder(by_email=ADMIN)

    assert outcome.is_empty
    assert list(plan_lines(outcome)) == [f"Nothing to do: {len(outcome.steps)} unchanged."]
    assert records_after(before) == []


def test_bootstrap_again_with_nothing_to_do_is_no_error(loaded: Outcome) -> None:
    outcome = apply_folder(by_email=ADMIN, bootstrap=True)

    assert outcome.is_empty


def test_export_of_what_was_loaded_loads_the_same(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    exported = export_text()
    unchanged = apply_text(exported, by_email=ADMIN)

    assert unchanged.is_empty
    assert [step.verb for step in unchanged.steps] == ["keep"] * len(unchanged.steps)


def test_nobody_applies_without_a_name(loaded: Outcome) -> None:
    with pytest.raises(Invalid, match="--as EMAIL"):
        apply_folder()


def test_nobody_unknown_applies(loaded: Outcome) -> None:
    with pytest.raises(Invalid, match="Nobody on the register has the address"):
        apply_folder(by_email="stranger@inventory.example")


def test_bootstrap_ends_with_the_first_policy(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    with pytest.raises(NotBootstrapping):
        apply_text("systems:\n  - {slug: erp, name: ERP}\n", by_email=ADMIN, bootstrap=True)

    assert not System.objects.filter(slug="erp").exists()


def test_widening_after_bootstrap_waits_for_a_second_person(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    outcome = apply_text(
        """
people:
  - {email: owner@inventory.example, groups: [auditor]}
systems:
  - {slug: payments, tier: internal}
roles:
  - {slug: support, tools: [refund.issue, ticket.read, ticket.reply]}
agents:
  - slug: refund-desk
    spend_cap_minor: 100000
    allowlist:
      - {tool: ticket.reply}
policies:
  - {slug: no-legal, absent: true}
  - slug: refunds-under-50
    text: permit(principal, action == Muster::Action::"refund.issue", resource);
""",
        by_email=ADMIN,
    )

    assert set(waiting(outcome)) == {
        OWNER,
        "payments",
        "support",
        "refund-desk",
        "no-legal",
        "refunds-under-50",
    }
    assert System.objects.get(slug="payments").tier == "confidential"
    assert Agent.objects.get(slug="refund-desk").spend_cap_minor == 0
    assert Role.objects.get(slug="support").tools.count() == 2
    assert list(Person.objects.get(email=OWNER).groups.all()) == []
    assert Policy.objects.filter(state="active").count() == 2
    assert ProposedChange.objects.filter(state="proposed").count() >= 5


def test_what_waits_is_not_proposed_twice(
    loaded: Outcome, apply_text: Callable[..., Outcome], mark: Any, records_after: Any
) -> None:
    text = "systems:\n  - {slug: payments, tier: internal}\n"
    apply_text(text, by_email=ADMIN)
    before = mark()

    outcome = apply_text(text, by_email=ADMIN)

    assert set(waiting(outcome)) == {"payments"}
    assert records_after(before) == []


def test_narrowing_takes_effect_at_once(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    outcome = apply_text(
        """
systems:
  - slug: helpdesk
    tier: confidential
    resources:
      - {name: "queue/", match: prefix, tier: internal}
agents:
  - slug: refund-desk
    rate_per_minute: 5
    allowlist:
      - {tool: ticket.read, absent: true}
    credentials:
      - {reference: "vault://care/refund-desk/helpdesk", absent: true}
relationships:
  - {resource_type: ticket, resource_id: "17", relation: team, subject_type: team,
     subject_id: care, absent: true}
""",
        by_email=ADMIN,
    )

    agent = Agent.objects.get(slug="refund-desk")
    assert waiting(outcome) == {}
    assert [entry.tool.name for entry in agent.allowlist.all()] == ["refund.issue"]
    assert [one.reference for one in agent.credentials.all()] == [
        "vault://care/refund-desk/payments"
    ]
    assert (agent.rate_per_minute, System.objects.get(slug="helpdesk").tier) == (5, "confidential")
    assert Relationship.objects.count() == 1


def test_owner_attests_what_is_internal(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    text = NEW_AGENT.format(slug="newcomer", tool="ticket.reply", more="attest: true")

    outcome = apply_text(text, by_email=OWNER)

    assert (states()["newcomer"], waiting(outcome)) == ("active", {})
    assert Agent.objects.get(slug="newcomer").clearances.get().basis == "attestation"


@pytest.mark.parametrize(
    ("tool", "more", "by"),
    [
        ("ticket.reply", "", OWNER),
        ("ticket.reply", "attest: true", ADMIN),
        ("refund.issue", "attest: true", OWNER),
        ("ticket.reply", "state: in_review", OWNER),
    ],
)
def test_other_agents_wait_in_review(
    loaded: Outcome, apply_text: Callable[..., Outcome], tool: str, more: str, by: str
) -> None:
    text = NEW_AGENT.format(slug="newcomer", tool=tool, more=more)

    outcome = apply_text(text, by_email=by)

    assert states()["newcomer"] == "in_review"
    assert set(waiting(outcome)) == (set() if "state" in more else {"newcomer"})


def test_waiting_in_review_is_not_recorded_twice(
    loaded: Outcome, apply_text: Callable[..., Outcome], mark: Any, records_after: Any
) -> None:
    text = NEW_AGENT.format(slug="newcomer", tool="refund.issue", more="state: active")
    apply_text(text, by_email=OWNER)
    before = mark()

    outcome = apply_text(text, by_email=OWNER)

    assert set(waiting(outcome)) == {"newcomer"}
    assert records_after(before) == []


def test_decommissioning_is_refused_with_a_sentence(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    with pytest.raises(BadInventory) as caught:
        apply_text("agents:\n  - {slug: sketch, state: decommissioned}\n", by_email=ADMIN)

    (problem,) = caught.value.problems
    assert problem.message == (
        "agents sketch: It is draft, and no inventory makes it decommissioned. "
        "Its page says what can be done."
    )


def test_references_are_checked_before_anything_is_written(
    loaded: Outcome, apply_text: Callable[..., Outcome], mark: Any, records_after: Any
) -> None:
    before = mark()

    with pytest.raises(BadInventory) as caught:
        apply_text(
            """
systems:
  - {slug: erp, name: ERP, owner: owners@inventory.example}
tools:
  - {name: erp.read, system: epr, effect: read}
agents:
  - {slug: a, name: A, purpose: P, owner: nobody@inventory.example, roles: [suport]}
""",
            by_email=ADMIN,
        )

    found = [line.split("inventory.yaml:", 1)[1] for line in caught.value.lines()]
    assert [line.replace(", here or on the register.", ".") for line in found] == [
        (
            "4:35: There is no person “owners@inventory.example”. "
            "Did you mean “owner@inventory.example”?"
        ),
        "6:30: There is no system “epr”. Did you mean “erp”?",
        (
            "8:43: There is no person “nobody@inventory.example”. "
            "Did you mean “second@inventory.example”?"
        ),
        "8:77: There is no role “suport”. Did you mean “support”?",
    ]
    assert records_after(before) == []


def test_new_items_say_what_they_must(loaded: Outcome, apply_text: Callable[..., Outcome]) -> None:
    with pytest.raises(BadInventory) as caught:
        apply_text("tools:\n  - {name: t}\nagents:\n  - {slug: a}\n", by_email=ADMIN)

    assert [problem.message for problem in caught.value.problems] == [
        "The key “effect” is missing for what is new: tools t.",
        "The key “system” is missing for what is new: tools t.",
        "The key “name” is missing for what is new: agents a.",
        "The key “owner” is missing for what is new: agents a.",
        "The key “purpose” is missing for what is new: agents a.",
    ]


def test_every_refusal_is_told_and_nothing_is_kept(
    loaded: Outcome, apply_text: Callable[..., Outcome], mark: Any, records_after: Any
) -> None:
    before = mark()

    with pytest.raises(BadInventory) as caught:
        apply_text(
            """
systems:
  - {slug: good, name: Good}
tools:
  - {name: bad.one, system: good, effect: read, schema: {type: array}}
  - {name: bad.two, system: good, effect: read, schema: {properties: {a: {pattern: "(?=a)"}}}}
agents:
  - slug: unlimited
    name: Unlimited
    purpose: Reads.
    owner: owner@inventory.example
    allowlist: [bad.one]
""",
            by_email=ADMIN,
        )

    places = [(one.place.line, one.message.split(":")[0]) for one in caught.value.problems]
    assert places == [(6, "tools bad.one"), (7, "tools bad.two")]
    assert not System.objects.filter(slug="good").exists()
    assert records_after(before) == []


def test_nothing_is_kept_when_recording_fails(
    loaded: Outcome, apply_text: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL ROLE muster_audit")
        cursor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")
        cursor.execute("SET LOCAL ROLE muster_web")

    with pytest.raises(AuditUnavailable):
        apply_text("systems:\n  - {slug: erp, name: ERP}\n", by_email=ADMIN)

    assert not System.objects.filter(slug="erp").exists()


def test_agents_without_secrets_say_how_to_get_one(loaded: Outcome) -> None:
    notes = {step.item.label: step.notes for step in loaded.steps if step.notes}

    sentence = "no secret yet: apply again with --secrets FILE, or make one on its page"
    assert notes == {name: [sentence] for name in ("refund-desk", "ticket-reader", "tool-gateway")}


def test_plan_shows_fields_before_and_after(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    outcome = apply_text(
        "systems:\n  - {slug: payments, name: Pay, categories: [payment_records, iban]}\n"
        "  - {slug: erp, name: ERP}\n",
        by_email=ADMIN,
        dry_run=True,
    )

    assert list(plan_lines(outcome)) == [
        "~ systems payments",
        "    name: Payments → Pay",
        '    categories: ["payment_records"] → ["iban", "payment_records"]',
        "+ systems erp",
        "    name: ERP",
        "Plan, nothing was changed: 1 to create, 1 to change, 0 to remove, = 0 unchanged.",
    ]


def test_tool_schema_survives(loaded: Outcome) -> None:
    schema = Tool.objects.get(name="refund.issue").schema

    assert schema["properties"]["amount"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1000.5,
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_command_refuses_bad_input_with_exit_code_2(
    loaded: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("muster: 1\nsystems:\n  - {slug: crm, nam: CRM}\n")

    with pytest.raises(SystemExit) as caught:
        call_command("apply", str(path), "--as", ADMIN, *(["--json"] if as_json else []))

    told = capsys.readouterr()
    sentence = "“nam” is not a key here. Did you mean “name”?"
    problem = {"file": str(path), "line": 3, "column": 17, "message": sentence}
    assert caught.value.code == 2
    assert told.err == f"{path}:3:17: {sentence}\nNothing was changed.\n"
    assert told.out == (json.dumps({"problems": [problem]}, indent=2) + "\n" if as_json else "")


def test_command_refuses_who_may_not_with_exit_code_2(
    loaded: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "systems.yaml"
    path.write_text("muster: 1\nsystems:\n  - {slug: erp, name: ERP}\n")

    with pytest.raises(SystemExit) as caught:
        call_command("apply", str(path), "--as", OWNER)

    sentence = "Only source owners, security and platform admins may add systems."
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        f"{path}:3:5: systems erp: {sentence}\nNothing was changed.\n"
    )


def test_command_prints_the_plan_and_programs_read_it(
    loaded: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "systems.yaml"
    path.write_text("muster: 1\nsystems:\n  - {slug: erp, name: ERP}\n")

    call_command("apply", str(path), "--as", ADMIN, "--json")

    assert json.loads(capsys.readouterr().out) == {
        "dry_run": False,
        "by": ADMIN,
        "nothing_to_do": False,
        "secrets": "",
        "issued": [],
        "steps": [
            {
                "kind": "systems",
                "key": "erp",
                "action": "create",
                "differences": [{"field": "name", "before": None, "after": "ERP"}],
                "waits": [],
                "notes": [],
            }
        ],
    }


def test_export_command_writes_some_kinds(loaded: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "export.yaml"

    call_command("export", "--kind", "gateways", "--output", str(path))

    assert path.read_text() == (
        "muster: 1\n"
        "gateways:\n"
        "- slug: old-gateway\n"
        "  name: Old gateway\n"
        "  source: ''\n"
        "  is_active: false\n"
        "- slug: tool-gateway\n"
        "  name: Tool gateway\n"
        "  source: directory\n"
        "  is_active: true\n"
    )


POLICY = """
policies:
  - slug: refunds-under-50
    cases:
      - name: too much
        effect: deny
        request:
          agent: refund-desk
          tool: refund.issue
          parameters: {{amount: {amount}, currency: DKK}}
"""


def test_failing_case_of_a_policy_refuses_all_of_it(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    with pytest.raises(BadInventory) as caught:
        apply_text(POLICY.format(amount=50), by_email=ADMIN)

    (problem,) = caught.value.problems
    assert problem.place.line == 6
    assert problem.message == (
        "policies refunds-under-50: Case “too much” wanted deny and got allow. Allowed."
    )
    assert Policy.objects.filter(slug="refunds-under-50").count() == 1


def test_changed_cases_are_a_new_version_that_waits(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    outcome = apply_text(POLICY.format(amount=51), by_email=ADMIN)

    version = Policy.objects.get(slug="refunds-under-50", version=2)
    assert (version.state, [one["name"] for one in version.cases]) == ("proposed", ["too much"])
    assert waiting(outcome) == {"refunds-under-50": ["a second person must agree to this policy"]}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("{}", "its request has other keys than"),
        (
            "{name: x, effect: perhaps, request: {agent: a, tool: t}}",
            "its effect is allow or deny.",
        ),
        ("{name: x, effect: deny, request: {tool: t}}", "say which agent asks"),
        ("{name: x, effect: deny, request: {agent: a, tool: t, now: noon}}", "now is a time"),
        ("text", "has other keys than name"),
    ],
)
def test_broken_cases_are_refused_where_they_stand(
    loaded: Outcome, apply_text: Callable[..., Outcome], case: str, said: str
) -> None:
    text = f"policies:\n  - slug: refunds-under-50\n    cases:\n      - {case}\n"

    with pytest.raises(BadInventory) as caught:
        apply_text(text, by_email=ADMIN)

    (problem,) = caught.value.problems
    assert (problem.place.line, said in problem.message) == (5, True)


def test_people_in_cases_are_exported_by_address(loaded: Outcome) -> None:
    stored = Policy.objects.get(slug="refunds-under-50").cases[1]["request"]["person"]

    exported = export_text(["policies"])

    assert stored.startswith("p_")
    assert f"person: {OWNER}" in exported
    assert stored not in exported


def test_relationship_that_a_policy_reads_waits(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    there = Relationship.objects.get(relation="assigned-to")
    removed = (
        "relationships:\n  - {resource_type: ticket, resource_id: '17', relation: assigned-to,"
        f" subject_type: person, subject_id: {OWNER}, absent: true}}\n"
    )
    reading = """
policies:
  - slug: assigned
    text: forbid(principal, action, resource is Muster::Ticket) unless { resource has assigned_to };
"""
    apply_text(reading, by_email=ADMIN)

    outcome = apply_text(removed, by_email=ADMIN)

    assert Relationship.objects.filter(pk=there.pk).exists()
    assert len(next(iter(waiting(outcome).values()))) == 1


def test_signatures_are_added_and_change_and_go_by_two(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    new = "{slug: cl-9, pattern: 'pay\\scl-9', reason: A trap., effects: [write, financial]}"
    changed = new.replace("A trap.", "Bait.").replace("[write, financial]", "[write]")
    gone = "{slug: chat-template, absent: true}"

    added = apply_text(f"muster: 1\nsignatures: [{new}]", by_email=ADMIN)
    again = apply_text(f"muster: 1\nsignatures: [{new}]", by_email=ADMIN)
    waits = apply_text(f"muster: 1\nsignatures: [{changed}, {gone}]", by_email=ADMIN)

    row = Signature.objects.get(slug="cl-9")
    assert [step.verb for step in added.steps] == ["create"]
    assert again.is_empty
    assert [step.waits for step in waits.steps] == [
        ["a second person must agree: Denied signature cl-9: other terms"],
        ["a second person must agree: Denied signature chat-template: removed"],
    ]
    assert (row.effects, row.reason, row.is_active) == (["financial", "write"], "Bait.", True)
    assert Signature.objects.filter(slug="chat-template").exists()


def test_toxic_combinations_are_added_at_once_and_guard_less_by_two(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    new = "{slug: ill, categories: [sick-leave, hr], implied_tier: restricted, reason: Who is ill.}"
    less = new.replace("restricted", "internal").replace("Who is ill.", "Said better.")
    gone = "{slug: supply-chain, absent: true}"

    added = apply_text(f"muster: 1\ntoxic_combinations: [{new}]", by_email=ADMIN)
    again = apply_text(f"muster: 1\ntoxic_combinations: [{new}]", by_email=ADMIN)
    waits = apply_text(f"muster: 1\ntoxic_combinations: [{less}, {gone}]", by_email=ADMIN)

    row = ToxicCombination.objects.get(slug="ill")
    assert [step.verb for step in added.steps] == ["create"]
    assert again.is_empty
    assert [step.waits for step in waits.steps] == [
        ["a second person must agree: Toxic combination ill: guards less"],
        ["a second person must agree: Toxic combination supply-chain: removed"],
    ]
    assert (row.categories, row.implied_tier, row.reason) == (
        ["hr", "sick-leave"],
        "restricted",
        "Said better.",
    )
    assert ToxicCombination.objects.get(slug="supply-chain").is_active is True


def test_addresses_to_send_people_back_to_are_applied_once(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    """In whatever order; and what is exported loads the same."""
    more = "redirect_uris: [https://b.example/back, http://127.0.0.1:8765/back]"
    tool = Tool.objects.order_by("name").values_list("name", flat=True)[0]
    item = NEW_AGENT.format(slug="copilot", tool=tool, more=f"state: draft\n    {more}")
    apply_text(item, by_email=ADMIN)

    again = apply_text(item, by_email=ADMIN)
    exported = apply_text(export_text(), by_email=ADMIN)

    assert again.is_empty
    assert exported.is_empty
    assert sorted(Agent.objects.get(slug="copilot").redirect_uris) == [
        "http://127.0.0.1:8765/back",
        "https://b.example/back",
    ]
