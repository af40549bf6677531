"""The shapes that questions come in."""

import pytest

from authz.asks import Ask
from authz.engine.types import SubjectKind
from authz.errors import BadRequest
from authz.wire import Batch, Semantic, read_evaluation, read_evaluations

OURS = {
    "subject": {"type": "agent", "id": "refund-desk"},
    "action": {"name": "refund.issue", "properties": {"amount": 5}},
    "resource": {"type": "claims", "id": "CL-1"},
}
GATEWAY = {
    "subject": {"type": "identity", "id": "jane"},
    "action": {"name": "tools/call"},
    "resource": {"type": "tool", "id": "refund.issue"},
    "context": {"agent": "refund-desk", "parameters": {"amount": 5}},
}
ACCESS_REQUEST = {
    "subject": {
        "type": "user",
        "id": "jane",
        "properties": {"act": {"iss": "https://muster", "sub": "refund-desk"}},
    },
    "action": {"name": "invoke"},
    "resource": {"type": "tool", "id": "refund.issue"},
    "context": {"parameters": {"amount": 5}},
}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("01900000-0000-7000-8000-00000000000A", "01900000-0000-7000-8000-00000000000a"),
        ({"id": "01900000-0000-7000-8000-00000000000a"}, "01900000-0000-7000-8000-00000000000a"),
        ("", ""),
        (None, ""),
        ("d" * 500, "unreadable"),
        ("chain:1; DROP", "unreadable"),
    ],
)
def test_read_what_was_handed_over(sent, read):
    assert read_evaluation({**OURS, "context": {"delegation": sent}}).delegation == read


def test_read_own_shape():
    ask = read_evaluation({**OURS, "context": {"user": "jane", "session": "s-1"}})

    assert ask == Ask(
        kind=SubjectKind.AGENT,
        tool="refund.issue",
        agent="refund-desk",
        user="jane",
        parameters={"amount": 5},
        resource_type="claims",
        resource_id="CL-1",
        session="s-1",
    )


@pytest.mark.parametrize("body", [GATEWAY, ACCESS_REQUEST])
def test_read_gateway_shapes(body):
    ask = read_evaluation(body)

    assert (ask.kind, ask.agent, ask.user, ask.person) == (
        SubjectKind.AGENT,
        "refund-desk",
        "jane",
        "",
    )
    assert (ask.tool, ask.parameters) == ("refund.issue", {"amount": 5})
    assert (ask.resource_type, ask.resource_id) == ("", "")


def test_read_person_alone():
    ask = read_evaluation(
        {
            "subject": {"type": "user", "id": "jane", "properties": {"role": "admin"}},
            "action": {"name": "delete", "properties": {"soft": True}},
            "resource": {"type": "record", "id": "1", "properties": {"status": "archived"}},
        }
    )

    assert ask == Ask(
        kind=SubjectKind.PERSON,
        tool="delete",
        person="jane",
        subject_type="user",
        subject_properties={"role": "admin"},
        parameters={"soft": True},
        resource_type="record",
        resource_id="1",
        resource_properties={"status": "archived"},
    )


def test_read_tool_as_its_own_resource():
    ask = read_evaluation({**OURS, "resource": {"type": "tool", "id": "refund.issue"}})

    assert (ask.resource_type, ask.resource_id) == ("", "")


def test_read_another_tool_as_resource():
    ask = read_evaluation({**OURS, "resource": {"type": "tool", "id": "refund.other"}})

    assert (ask.resource_type, ask.resource_id) == ("tool", "refund.other")


def test_read_parameters_in_context_of_an_agent_are_not_parameters():
    ask = read_evaluation({**OURS, "context": {"parameters": {"amount": 9}}})

    assert ask.parameters == {"amount": 5}


def test_read_chain():
    act = {"sub": "b", "act": {"sub": "a", "act": {"sub": "root"}}}
    ask = read_evaluation(
        {**ACCESS_REQUEST, "subject": {"type": "user", "id": "j", "properties": {"act": act}}}
    )

    assert (ask.agent, ask.chain) == ("b", ("a", "root"))


def test_read_unknown_members():
    assert read_evaluation({**OURS, "foo": 1, "context": {"ip": "::1"}}) == read_evaluation(OURS)


def test_read_reasoning_is_capped():
    ask = read_evaluation({**OURS, "context": {"reasoning": "x" * 5000}})

    assert ask.reasoning == "x" * 4000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "The body must be an object."),
        ({**OURS, "subject": None}, "subject must be an object."),
        ({k: v for k, v in OURS.items() if k != "subject"}, "subject is missing."),
        ({k: v for k, v in OURS.items() if k != "action"}, "action is missing."),
        ({k: v for k, v in OURS.items() if k != "resource"}, "resource is missing."),
        ({**OURS, "subject": {"type": "agent"}}, "subject.id is missing."),
        ({**OURS, "subject": {"id": "a"}}, "subject.type is missing."),
        ({**OURS, "subject": {"type": "agent", "id": ""}}, "subject.id is missing."),
        ({**OURS, "subject": "alice"}, "subject must be an object."),
        ({**OURS, "action": {}}, "action.name is missing."),
        ({**OURS, "action": {"name": 123}}, "action.name must be a string."),
        ({**OURS, "action": {"name": {"id": "x"}}}, "action.name must be a string."),
        (
            {**OURS, "action": {"name": "a", "properties": []}},
            "action.properties must be an object.",
        ),
        ({**OURS, "resource": {"type": "claims"}}, "resource.id is missing."),
        ({**OURS, "resource": {"id": "1"}}, "resource.type is missing."),
        ({**OURS, "context": None}, "context must be an object."),
        ({**OURS, "context": {"user": 5}}, "context.user must be a string."),
        (
            {**OURS, "context": {"delegation": 7}},
            "context.delegation must be a string.",
        ),
        (
            {**OURS, "context": {"session": "s" * 201}},
            "context.session is longer than 200 characters.",
        ),
        ({**OURS, "context": {"reasoning": 1}}, "context.reasoning must be a string."),
        (
            {**OURS, "subject": {"type": "agent", "id": "é" * 401}},
            "subject.id is longer than 800 bytes.",
        ),
        (
            {**ACCESS_REQUEST, "context": {"agent": "another"}},
            "context.agent and subject.properties.act name different agents.",
        ),
    ],
)
def test_read_refused(body, message):
    with pytest.raises(BadRequest) as caught:
        read_evaluation(body)

    assert caught.value.message == message


def test_read_many_with_defaults():
    batch = read_evaluations(
        {
            "subject": OURS["subject"],
            "action": OURS["action"],
            "evaluations": [
                {"resource": OURS["resource"]},
                {"resource": {"type": "claims", "id": "CL-2"}, "action": {"name": "refund.read"}},
                {},
                5,
            ],
            "options": {"evaluations_semantic": "deny_on_first_deny"},
        }
    )

    assert isinstance(batch, Batch)
    first, second, third, fourth = batch.items
    assert first == read_evaluation(OURS)
    # The whole object is replaced: nothing of the default action is left.
    assert (second.tool, second.parameters, second.resource_id) == ("refund.read", {}, "CL-2")
    assert (third.message, fourth.message) == (
        "resource is missing.",
        "An item of evaluations must be an object.",
    )
    assert batch.semantic is Semantic.DENY_ON_FIRST_DENY


@pytest.mark.parametrize("more", [{}, {"evaluations": []}])
def test_read_many_without_items(more):
    assert read_evaluations({**OURS, **more}) == read_evaluation(OURS)


@pytest.mark.parametrize(
    "more",
    [
        {"evaluations": {}},
        {"evaluations": [{}] * 101},
        {"evaluations": [{}], "options": {"evaluations_semantic": "sometimes"}},
        {"evaluations": [{}], "options": []},
        {"evaluations": [{}], "options": {"evaluations_semantic": []}},
    ],
)
def test_read_many_refused(more):
    with pytest.raises(BadRequest):
        read_evaluations({**OURS, **more})


@pytest.mark.parametrize(
    ("semantic", "decision", "ends"),
    [
        (Semantic.EXECUTE_ALL, False, False),
        (Semantic.EXECUTE_ALL, True, False),
        (Semantic.DENY_ON_FIRST_DENY, False, True),
        (Semantic.DENY_ON_FIRST_DENY, True, False),
        (Semantic.PERMIT_ON_FIRST_PERMIT, True, True),
        (Semantic.PERMIT_ON_FIRST_PERMIT, False, False),
    ],
)
def test_semantic_ends(semantic, decision, ends):
    assert semantic.ends_at(decision) is ends
