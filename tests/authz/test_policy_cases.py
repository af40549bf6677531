"""Cases of a policy: their shape, running them, and what failing ones stop."""

import copy
import json

import pytest

from authz import services
from authz.cases import read_cases, run_cases, with_emails
from authz.enums import PolicyState
from authz.errors import DraftMoved, PolicyCasesFail, PolicyDecided, PolicyNotEditable
from authz.models import Policy
from authz.services import PolicyDraft
from governance.kernel.errors import Invalid, NotAllowed
from registry import services as register
from registry.models import ProposedChange
from registry.permissions import Automatic
from tests.factories.authz import make_person, make_policy

pytestmark = pytest.mark.django_db

FORBID = "forbid(principal, action, resource);"
MONDAY_NOON = "2026-11-23T12:00:00+00:00"
SUNDAY = "2026-11-22T12:00:00+00:00"


def permit(desk, condition=""):
    return f'permit(principal, action == Muster::Action::"{desk.tool.name}", resource){condition};'


def cap(desk, most=1000):
    return permit(
        desk,
        " when { context.parameters has amount && context.parameters.amount"
        f" <= {most} && context.local.business }}",
    )


def case(desk, name="pays", effect="allow", **request):
    asked = {
        "agent": desk.agent.slug,
        "tool": desk.tool.name,
        "parameters": {"claim": "CL-1", "amount": 500},
        "now": MONDAY_NOON,
    }
    return {"name": name, "effect": effect, "request": asked | request}


def much(desk, **more):
    return case(desk, "too much", "deny", parameters={"claim": "CL-1", "amount": 5000}, **more)


def run(text, cases, slug="cap"):
    return run_cases(PolicyDraft(slug, text, cases=cases))


def told(results):
    return [(one.name, one.got, one.check, one.code, one.passed) for one in results]


# Running them


def test_cases_are_judged_by_the_walk_with_the_draft_in_force(desk):
    sunday = case(desk, "on a Sunday", "deny", now=SUNDAY)

    results = run(cap(desk), [case(desk), much(desk), sunday])

    assert told(results) == [
        ("pays", "allow", "", "", True),
        ("too much", "deny", "policy", "policy.no_permit", True),
        ("on a Sunday", "deny", "policy", "policy.no_permit", True),
    ]
    assert results[0].policies == ("cap@draft",)


def test_failing_case_says_what_it_wanted_and_what_decided(desk):
    (result,) = run(cap(desk, most=100), [case(desk)])

    assert result.passed is False
    assert result.sentence.startswith("Case “pays” wanted allow and got deny by policy.no_permit. ")


def test_draft_stands_in_the_place_of_the_version_in_force(desk):
    make_policy(FORBID, slug="cap")
    other = run(permit(desk), [case(desk)], slug="other")

    replaced = run(permit(desk), [case(desk)])

    assert told(replaced) == [("pays", "allow", "", "", True)]
    assert told(other) == [("pays", "deny", "policy", "policy.forbidden", False)]


def test_earlier_checks_decide_first_and_the_case_says_so(desk):
    desk.role.agents.remove(desk.agent)

    (result,) = run(permit(desk), [case(desk, effect="deny")])

    assert (result.passed, result.check, result.asked) == (True, "role", False)


def test_later_checks_are_left_out(desk):
    desk.agent.rate_per_minute = 1
    desk.agent.save()

    results = run(permit(desk), [case(desk, str(number)) for number in range(3)])

    assert [one.got for one in results] == ["allow"] * 3


def test_people_alone_and_people_acted_for(desk, ann):
    desk.role.people.add(ann)
    text = permit(desk, f' when {{ principal == Muster::Person::"{ann.pid}" }}')
    alone = case(desk, agent="", person=ann.pid)

    results = run(text, [alone, case(desk, "an agent", "deny")])

    assert [one.got for one in results] == ["allow", "deny"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"agent": "nobody"}, "There is no agent nobody."),
        ({"user": "x@example.org"}, "There is no person x@example.org."),
        ({"tool": "no.such"}, "There is no tool no.such."),
    ],
)
def test_a_name_that_stands_for_nothing_proves_nothing(desk, changed, said):
    (result,) = run(permit(desk), [case(desk, effect="deny", **changed)])

    assert (result.passed, result.got) == (False, "")
    assert result.said.startswith(said)


def test_log_only_version_is_tested_as_if_it_were_enforced(desk, ann):
    draft = PolicyDraft("cap", FORBID, log_only=True, cases=[case(desk, effect="deny")])

    saved = services.save_draft(draft=draft, by=ann)
    done = services.propose_draft(policy_id=saved.pk, by=ann, seen=1)

    assert done.state == PolicyState.ACTIVE


def test_text_that_cannot_be_read_fails_every_case(desk):
    (result,) = run("permit(", [case(desk)])

    assert (result.passed, result.said.startswith("The policy cannot be read: ")) == (False, True)


# Their shape


@pytest.mark.parametrize(
    "broken",
    [
        {"extra": 1},
        {"name": ""},
        {"name": "x" * 121},
        {"name": 5},
        {"name": "a\x00b"},
        {"effect": "hold"},
        {"request": []},
        {"request": {"tool": "x"}},
        {"request": {"agent": "a", "person": "b", "tool": "x"}},
        {"request": {"agent": "a"}},
        {"request": {"agent": "a", "tool": 5}},
        {"request": {"agent": "a", "tool": "x", "more": 1}},
        {"request": {"agent": "a", "tool": "x", "parameters": []}},
        {"request": {"agent": "a", "tool": "x", "parameters": {"a": "\x00"}}},
        {"request": {"agent": "a", "tool": "x", "resource": "y"}},
        {"request": {"agent": "a", "tool": "x", "resource": {"id": "y"}}},
        {"request": {"agent": "a", "tool": "x", "now": "noon"}},
        {"request": {"agent": "a", "tool": "x", "now": "2026-11-23T12:00:00"}},
    ],
)
def test_broken_cases_are_refused(broken):
    right = {"name": "one", "effect": "allow", "request": {"agent": "a", "tool": "x"}}

    with pytest.raises(Invalid) as caught:
        read_cases([right | broken])

    assert list(caught.value.fields) == ["cases"]


@pytest.mark.parametrize("given", [None, {}, "x", [None], [[]], [{}] * 101])
def test_what_is_no_list_of_cases_is_refused(given):
    with pytest.raises(Invalid):
        read_cases(given)


def test_two_cases_of_one_name_are_refused():
    one = {"name": "one", "effect": "allow", "request": {"agent": "a", "tool": "x"}}

    with pytest.raises(Invalid, match="Two cases are called “one”"):
        read_cases([one, copy.deepcopy(one)])


def test_people_are_stored_by_pseudonym_and_shown_by_address(desk, ann):
    draft = PolicyDraft("cap", permit(desk), cases=[case(desk, user=ann.email.upper())])

    saved = services.save_draft(draft=draft, by=ann)

    assert saved.cases[0]["request"]["user"] == ann.pid
    assert with_emails(saved.cases)[0]["request"]["user"] == ann.email


# What failing ones stop


def test_failing_cases_do_not_stop_a_draft_but_stop_proposing(desk, ann):
    draft = PolicyDraft("cap", cap(desk, most=100), cases=[case(desk)])

    saved = services.save_draft(draft=draft, by=ann)
    with pytest.raises(PolicyCasesFail) as caught:
        services.propose_draft(policy_id=saved.pk, by=ann, seen=1)

    saved.refresh_from_db()
    assert saved.state == PolicyState.DRAFT
    assert caught.value.fields["cases"][0].startswith("Case “pays” wanted allow and got deny")
    assert ProposedChange.objects.count() == 0


def test_world_that_changed_stops_the_agreement(desk, ann, ben):
    proposed = services.propose_policy(slug="cap", text=cap(desk), cases=[case(desk)], by=ann)
    register.suspend_agent(agent_id=desk.agent.pk, by=Automatic("sweep"), reason="Looked odd.")

    with pytest.raises(PolicyCasesFail, match=r"got deny by identity\.not_active"):
        services.agree_policy(policy_id=proposed.pk, by=ben)

    proposed.refresh_from_db()
    assert proposed.state == PolicyState.PROPOSED
    assert ProposedChange.objects.get().state == "proposed"


def test_narrowing_with_failing_cases_does_not_come_into_force(desk, ann):
    with pytest.raises(PolicyCasesFail):
        services.propose_policy(slug="freeze", text=FORBID, cases=[case(desk)], by=ann)

    assert Policy.objects.count() == 0


def test_first_policies_are_tested_together(desk, ann):
    permits = PolicyDraft("cap", permit(desk), cases=[case(desk, effect="deny")])
    freeze = PolicyDraft("freeze", FORBID)

    made = services.bootstrap_policies(policies=[permits, freeze], by=ann)

    assert [one.state for one in made] == [PolicyState.ACTIVE] * 2


def test_first_policies_with_a_failing_case_do_not_come(desk, ann):
    permits = PolicyDraft("cap", permit(desk), cases=[case(desk, effect="deny")])

    with pytest.raises(PolicyCasesFail):
        services.bootstrap_policies(policies=[permits], by=ann)

    assert Policy.objects.count() == 0


def test_cases_stay_where_a_new_version_says_none(desk, ann, ben):
    first = services.propose_policy(slug="cap", text=cap(desk), cases=[case(desk)], by=ann)
    services.agree_policy(policy_id=first.pk, by=ben)

    second = services.propose_policy(slug="cap", text=cap(desk, most=900), by=ann)

    assert second.cases == first.cases


# Drafts


def test_only_drafts_change_and_only_by_who_has_seen_them(desk, ann, ben):
    saved = services.save_draft(draft=PolicyDraft("cap", permit(desk)), by=ann)
    services.save_draft(draft=PolicyDraft("cap", cap(desk)), by=ben, seen=1)

    with pytest.raises(DraftMoved):
        services.save_draft(draft=PolicyDraft("cap", FORBID), by=ann, seen=1)
    with pytest.raises(DraftMoved):
        services.propose_draft(policy_id=saved.pk, by=ann, seen=1)
    services.propose_draft(policy_id=saved.pk, by=ann, seen=2)
    with pytest.raises(PolicyNotEditable):
        services.propose_draft(policy_id=saved.pk, by=ann, seen=2)
    with pytest.raises(PolicyNotEditable):
        services.discard_draft(policy_id=saved.pk, by=ann, seen=2)

    saved.refresh_from_db()
    assert (saved.text, saved.drafted_by, saved.proposed_by) == (cap(desk), ben, ann)


def test_discarded_draft_is_kept_and_makes_room(desk, ann):
    saved = services.save_draft(draft=PolicyDraft("cap", "permit("), by=ann)
    services.discard_draft(policy_id=saved.pk, by=ann, seen=1, why="A try.")

    second = services.save_draft(draft=PolicyDraft("cap", permit(desk)), by=ann)

    saved.refresh_from_db()
    assert (saved.state, saved.state_word, saved.ended_why) == ("retired", "dropped", "A try.")
    assert second.uid == "cap@v2"


def test_withdrawn_proposal_is_decided(desk, ann):
    saved = services.save_draft(draft=PolicyDraft("cap", permit(desk)), by=ann)
    services.propose_draft(policy_id=saved.pk, by=ann, seen=1)

    services.withdraw_policy(policy_id=saved.pk, by=ann)

    with pytest.raises(PolicyDecided):
        services.withdraw_policy(policy_id=saved.pk, by=ann)


@pytest.mark.parametrize("word", ["new", "check", "words", "simulator", "coverage", "toxic"])
def test_words_that_stand_for_pages_are_no_names(ann, word):
    with pytest.raises(Invalid):
        services.save_draft(draft=PolicyDraft(word, FORBID), by=ann)
    with pytest.raises(Invalid):
        services.propose_policy(slug=word, text=FORBID, by=ann)


@pytest.mark.parametrize("group", ["dpo", "auditor", "source_owner", ""])
def test_who_may_not_touch_drafts(desk, ann, group):
    someone = make_person(groups=[group] if group else [])
    saved = services.save_draft(draft=PolicyDraft("cap", permit(desk)), by=ann)

    with pytest.raises(NotAllowed):
        services.save_draft(draft=PolicyDraft("cap", FORBID), by=someone, seen=1)
    with pytest.raises(NotAllowed):
        services.propose_draft(policy_id=saved.pk, by=someone, seen=1)
    with pytest.raises(NotAllowed):
        services.discard_draft(policy_id=saved.pk, by=someone, seen=1)

    saved.refresh_from_db()
    assert (saved.state, saved.edits) == (PolicyState.DRAFT, 1)


def test_every_step_is_recorded_by_who_did_it(desk, ann, ben, mark, records_after):
    before = mark()

    saved = services.save_draft(draft=PolicyDraft("cap", permit(desk)), by=ann)
    services.propose_draft(policy_id=saved.pk, by=ann, seen=1)
    services.reject_policy(policy_id=saved.pk, by=ben, answer="Too wide.")

    recorded = records_after(before, kind="policy")
    did = [(_did(one), one["actor"]) for one in recorded]
    assert did == [
        ("policy_drafted", ann.pid),
        ("policy_proposed", ann.pid),
        ("change_proposed", ann.pid),
        ("change_rejected", ben.pid),
        ("policy_dropped", ben.pid),
    ]
    assert [one["kind"] for one in recorded] == ["policy"] * 5


def _did(record):
    return json.loads(bytes(record["body"]).split(b"\n")[0])["asked"]["did"]


@pytest.mark.parametrize("act", ["save", "propose", "discard"])
def test_nothing_is_saved_when_recording_fails(desk, ann, monkeypatch, act):
    from audit import services as audit
    from audit.errors import AuditUnavailable

    saved = services.save_draft(draft=PolicyDraft("cap", permit(desk)), by=ann)

    def fail(**_):
        raise AuditUnavailable()

    monkeypatch.setattr(audit, "record", fail)
    acts = {
        "save": lambda: services.save_draft(draft=PolicyDraft("cap", FORBID), by=ann, seen=1),
        "propose": lambda: services.propose_draft(policy_id=saved.pk, by=ann, seen=1),
        "discard": lambda: services.discard_draft(policy_id=saved.pk, by=ann, seen=1),
    }
    with pytest.raises(AuditUnavailable):
        acts[act]()

    kept = Policy.objects.get()
    assert (kept.state, kept.edits, kept.text) == (PolicyState.DRAFT, 1, permit(desk))
