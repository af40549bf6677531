"""Readers of what others wrote about an agent: what they take, leave out, and say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.imports import MAX_BYTES, BadImport, Proposed, read
from lifecycle.imports.matching import matched
from tests.factories.registry import make_system, make_tool

CARD: dict[str, Any] = {
    "protocolVersion": "0.3.0",
    "name": "Claims follow-up",
    "description": "Finds claims\nwithout news.",
    "url": "https://robot:hunter22secret@agents.example:8443/a2a?key=1",
    "version": "1.4.2",
    "provider": {"organization": "Claims", "url": "https://claims.example"},
    "skills": [{"id": "claims.read", "name": "Read"}, {"id": "nowhere.at_all", "name": "No"}],
    "signatures": [{"protected": "x", "signature": "y"}],
}
SECRETS = {
    "env": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "header": "Bearer sk-live-51HqL8Abcdefghijklmnop",
    "args": "glpat-AbCdEf0123456789xyzQ",
    "query": "q9Zx81kLmN0pQrStUv",
    "weak": "correct horse battery",
}
MCP: dict[str, Any] = {
    "mcpServers": {
        "crm": {
            "command": "npx",
            "args": ["-y", "crm-mcp", "--token", SECRETS["args"]],
            "env": {"CRM_TOKEN": SECRETS["env"], "CRM_URL": "https://crm.example", "A": "${B}"},
            "allowedTools": ["contact.read", "*"],
        },
        "wiki-mcp": {
            "url": f"https://wiki.example/mcp?api_key={SECRETS['query']}",
            "headers": {"Authorization": SECRETS["header"], "X-Token": "${input:token}"},
        },
        "mail": {"command": "mail", "env": {"MAIL_PASSWORD": SECRETS["weak"]}, "disabled": True},
    }
}
AGENT_YAML = """
name: Deal scorer
description: Scores deals.
repo: {url: git.example/sales/scorer}
model: {name: M2}
owner: Jane@Example.org
rate_per_minute: 20
tools:
  - crm.deal.read
  - {name: crm.deal.score, max: 10}
mcp_servers: [wiki]
"""


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def one(raw: bytes | str, **more: Any) -> Proposed:
    (found,) = read(raw.encode() if isinstance(raw, str) else raw, **more)
    return found


def test_card_fills_in_what_it_says() -> None:
    found = one(encoded(CARD))

    assert (found.kind, found.slug, found.name) == (
        "agent_card",
        "claims-follow-up",
        "Claims follow-up",
    )
    assert found.facts == {
        "purpose": "Finds claims without news.",
        "builder": "Claims",
        "code_reference": "1.4.2",
        "runs_at": "agents.example",
    }
    assert found.tools == ("claims.read", "nowhere.at_all")
    assert found.told[-1] == "The card is signed. Muster did not check by whom."


def test_card_of_the_newer_shape_is_a_card() -> None:
    card = {"name": "N", "supportedInterfaces": [{"url": "https://a.example/x"}]}

    assert one(encoded(card)).facts == {"runs_at": "a.example"}


def test_configuration_names_its_servers_and_keeps_no_secret() -> None:
    found = one(encoded(MCP))

    left_out = "held a secret and was left out. It belongs into the vault; change it, since it"
    assert found.servers == ("crm", "wiki-mcp", "mail")
    assert found.tools == ("crm.contact.read",)
    assert found.told == (
        f"crm: CRM_TOKEN, token {left_out} stood in a file.",
        f"wiki-mcp: Authorization, api_key {left_out} stood in a file.",
        f"mail: MAIL_PASSWORD {left_out} stood in a file.",
        "mail is switched off in the configuration.",
    )
    assert not [secret for secret in SECRETS.values() if secret in repr(found)]


@pytest.mark.parametrize("place", ["name", "description", "version", "url"])
def test_secret_in_a_text_is_left_out_wherever_it_stands(place: str) -> None:
    found = one(encoded(CARD | {place: f"it is {SECRETS['env']}"}))

    assert SECRETS["env"] not in repr(found)


def test_secret_as_the_name_of_a_server_is_left_out() -> None:
    config = {"mcpServers": {SECRETS["env"]: {"command": "x", "env": {"TOKEN": "abcd1234"}}}}

    found = one(encoded(config))

    assert found.servers == ()
    assert SECRETS["env"] not in repr(found)


@pytest.mark.parametrize("value", ["${TOKEN}", "$TOKEN", "<your token>", "vault://crm/token", ""])
def test_reference_to_a_secret_is_no_secret(value: str) -> None:
    config = {"mcpServers": {"crm": {"command": "x", "env": {"CRM_TOKEN": value}}}}

    assert one(encoded(config)).told == ()


def test_servers_of_an_editor_are_a_configuration() -> None:
    config = {"servers": {"crm": {"url": "https://crm.example"}}, "inputs": []}

    assert one(encoded(config)).servers == ("crm",)


def test_common_keys_of_a_repository_are_read() -> None:
    found = one(AGENT_YAML)

    assert (found.slug, found.owner) == ("deal-scorer", "jane@example.org")
    assert found.facts == {
        "purpose": "Scores deals.",
        "repository": "git.example/sales/scorer",
        "model": "M2",
        "rate_per_minute": 20,
    }
    assert (found.tools, found.servers) == (("crm.deal.read", "crm.deal.score"), ("wiki",))
    assert found.told == ("What narrows a tool was not taken over. Narrow it on the agent's page.",)


def test_every_agent_of_the_example_inventory_is_read() -> None:
    raw = (Path(__file__).parents[1] / "data/inventory/register.yml").read_bytes()

    found = read(raw)

    assert {each.slug for each in found} >= {"ticket-reader"}
    assert next(each for each in found if each.slug == "ticket-reader").tools != ()


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "There is nothing in it. Paste the text, or choose the file."),
        (b"[" * 100_000, "The body is nested deeper than 32 levels."),
        (b'{"name": "a", "name": "b", "skills": []}', "The key 'name' stands twice in one object."),
        (b"{\xff", "The body is not UTF-8 (byte 1)."),
        (b"a: &a [*a, *a]", ""),
        (b"!!python/object/apply:os.system ['true']", ""),
        (b"just a text", "This is none of: an agent card"),
        (b'{"hello": 1}', "This is none of: an agent card"),
        (b"x" * (MAX_BYTES + 1), "The file is larger than 256 KiB."),
        (b"agents: [" + b"{name: a, tools: []}," * 101 + b"]", "There are more than 100 agents"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(raw: bytes, sentence: str) -> None:
    with pytest.raises(BadImport) as caught:
        read(raw)

    assert caught.value.status == 400
    assert sentence in caught.value.message


def test_other_kind_than_was_said_is_refused() -> None:
    with pytest.raises(BadImport) as caught:
        read(encoded(CARD), kind="mcp")

    assert caught.value.message == "This cannot be read as an MCP client configuration."


KEYS = (
    *("name", "skills", "url", "mcpServers", "env", "args", "headers", "agents", "tools"),
    *("owner", "model", "allowlist", "servers", "provider", "id", "tool", "agent"),
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def readable(raw: bytes) -> bool:
    """Whether `raw` is read. Anything but a refusal with a sentence fails the test."""
    try:
        return all(isinstance(each, Proposed) for each in read(raw))
    except BadImport as refusal:
        return bool(refusal.message)


@given(_VALUES)
def test_any_shape_is_read_or_refused(value: Any) -> None:
    assert readable(encoded(value))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert readable(raw)


# Looked up on the register


@pytest.mark.django_db
def test_names_are_looked_up_and_the_rest_is_told() -> None:
    crm, wiki = make_system(slug="crm"), make_system(slug="wiki")
    for system, name, effect in (
        (crm, "crm.contact.read", "read"),
        (crm, "crm.contact.drop", "destructive"),
        (wiki, "wiki.search", "read"),
        (wiki, "wiki.write", "write"),
    ):
        make_tool(system, name=name, effect=effect)

    found = matched(one(encoded(MCP)))

    assert [tool.name for tool in found.tools] == ["crm.contact.read", "wiki.search"]
    (said,) = found.unmatched
    assert said == (
        "Not on the register as systems: mail. Ask whoever runs them, a source owner or a platform "
        "admin, to register them."
    )


@pytest.mark.django_db
def test_unknown_tools_are_told_and_counted() -> None:
    names = [f"far.t{number:02}" for number in range(12)]
    found = matched(Proposed("agent_yaml", tools=tuple(names)))

    assert found.tools == ()
    assert found.unmatched[0].startswith(
        "Not on the register as tools: far.t00, far.t01, far.t02, far.t03, far.t04, far.t05, "
        "far.t06, far.t07, far.t08, far.t09 and 2 more."
    )
