"""Obligations, where they are told: in the answer, on the record, on the decision's page."""

import json

import pytest

from audit.explain import explanation
from audit.leaf import parse_body
from authz.engine import obligations
from registry.models import AllowlistEntry
from tests.factories.authz import bearer, make_desk, make_person, make_policy

pytestmark = pytest.mark.django_db

EVALUATION = "/access/v1/evaluation"
LABEL = {"kind": "label", "classification": "internal"}
ASKED = [
    {"kind": "redact", "paths": ["/iban", "/notes"]},
    {"kind": "notify", "who": "dpo"},
    {"kind": "log", "reason": "Reads <b>claims</b>."},
]
SENTENCES = (
    "Treat what comes back as internal.",
    "Take /iban, /notes out of what comes back.",
    "Tell dpo.",
    "Write down: Reads <b>claims</b>.",
)


@pytest.fixture
def desk():
    return make_desk(tool_fields={"effect": "read"})


@pytest.fixture
def _policy(desk):
    annotations = '@redact("/iban,/notes") @notify("dpo") @log("Reads <b>claims</b>.")'
    make_policy(f"{annotations} permit(principal, action, resource);", slug="claims")


@pytest.fixture
def ask(client, desk, mark, records_after):
    """The context of an answer, and the record behind it."""

    def asked():
        before = mark()
        headers = {"authorization": bearer(desk.client)}
        answer = client.post(
            EVALUATION, json.dumps(desk.body()), content_type="application/json", headers=headers
        )
        (record,) = records_after(before, kind="decision")
        return answer.json()["context"], parse_body(bytes(record["body"]))

    return asked


@pytest.mark.usefixtures("_policy")
def test_obligations_are_answered_recorded_and_explained(ask):
    context, body = ask()

    assert (context["effect"], context["policies"]) == ("allow", ["claims@v1"])
    assert context["obligations"] == [LABEL, *ASKED]
    assert body["judged"]["obligations"] == [LABEL, *ASKED]
    assert explanation(body).obligations == SENTENCES


def test_read_without_policies_is_labelled_all_the_same(ask):
    _, body = ask()

    assert body["judged"]["obligations"] == [LABEL]


@pytest.mark.usefixtures("_policy")
def test_decisions_page_shows_them_as_text(ask, client, settings):
    settings.MUSTER_APPROVER_MFA = False
    context, _ = ask()
    client.force_login(make_person(groups=["security"]))

    page = client.get(f"/trail/{context['decision_id']}/").content.decode()

    assert "What the caller must do" in page
    assert "<li>Write down: Reads &lt;b&gt;claims&lt;/b&gt;.</li>" in page


@pytest.mark.usefixtures("_policy")
def test_whom_a_counter_stops_has_nothing_to_do(ask):
    AllowlistEntry.objects.update(rate_per_hour=0)

    context, body = ask()

    assert (context["code"], context["obligations"]) == ("rate.hour", [])
    assert explanation(body).obligations == ()


def test_obligation_of_a_later_version_is_told_by_its_kind():
    assert obligations.sentence({"kind": "watermark", "text": "x"}) == (
        "Do what watermark means to the caller."
    )
    assert obligations.sentence({"kind": "notify"}) == "Do what notify means to the caller."
