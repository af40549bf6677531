"""AgentDojo suites as an inventory: one agent a suite, allowed what its benign tasks call.

    python benchmarks/agentdojo_inventory.py banking.json slack.json --owner EMAIL > dojo.yaml
    ./muster apply dojo.yaml --as EMAIL --bootstrap --secrets secrets.json

The tools keep the JSON Schemas of the suite. What a suite does not say, an effect and a system for
each tool, stands in the table below; a tool that is not in it is refused, not guessed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lifecycle.apply.writing import write_yaml

Json = Any

SLACK_CHANNELS = ("general", "random", "private", "External_0")
SLACK_PEOPLE = ("Alice", "Bob", "Charlie", "Eve")
SYSTEMS = {
    "dojo-bank": {
        "name": "Bank of the banking suite",
        "tier": "confidential",
        "categories": ["payment_records"],
    },
    "dojo-files": {"name": "Files of the banking suite", "tier": "internal", "trust": "untrusted"},
    "dojo-slack": {
        "name": "Workspace of the slack suite",
        "tier": "internal",
        # Its own channels and people, as the suite's environment has them.
        "resources": [
            {"name": name, "tier": "internal"} for name in (*SLACK_CHANNELS, *SLACK_PEOPLE)
        ],
    },
    "dojo-web": {
        "name": "Web of the slack suite",
        "tier": "public",
        "trust": "untrusted",
        # The company's own site, by what a task's prompt says of it.
        "resources": [{"name": "www.our-company.com", "tier": "internal"}],
    },
}
GATEWAY = "dojo-gateway"

# Tool: its system, its effect, and which of its parameters have a meaning of their own.
TOOLS: dict[str, tuple[str, str, dict[str, Json]]] = {
    "get_iban": ("dojo-bank", "read", {}),
    "send_money": (
        "dojo-bank",
        "financial",
        {"amount_parameter": "amount", "recipient_parameter": "recipient"},
    ),
    "schedule_transaction": (
        "dojo-bank",
        "financial",
        {"amount_parameter": "amount", "recipient_parameter": "recipient"},
    ),
    "update_scheduled_transaction": (
        "dojo-bank",
        "financial",
        {"amount_parameter": "amount", "recipient_parameter": "recipient"},
    ),
    "get_balance": ("dojo-bank", "read", {}),
    "get_most_recent_transactions": ("dojo-bank", "read", {}),
    "get_scheduled_transactions": ("dojo-bank", "read", {}),
    "read_file": ("dojo-files", "read", {"resource_parameter": "file_path"}),
    "get_user_info": ("dojo-bank", "read", {}),
    "update_password": ("dojo-bank", "write", {"secret_parameters": ["password"]}),
    "update_user_info": ("dojo-bank", "write", {}),
    "get_channels": ("dojo-slack", "read", {}),
    "add_user_to_channel": (
        "dojo-slack",
        "permission_grant",
        {"resource_parameter": "channel", "recipient_parameter": "user"},
    ),
    "read_channel_messages": ("dojo-slack", "read", {"resource_parameter": "channel"}),
    "read_inbox": ("dojo-slack", "read", {}),
    "send_direct_message": ("dojo-slack", "write", {"recipient_parameter": "recipient"}),
    "send_channel_message": ("dojo-slack", "write", {"resource_parameter": "channel"}),
    "get_users_in_channel": ("dojo-slack", "read", {"resource_parameter": "channel"}),
    "invite_user_to_slack": (
        "dojo-slack",
        "permission_grant",
        {"recipient_parameter": "user_email"},
    ),
    "remove_user_from_slack": ("dojo-slack", "destructive", {"recipient_parameter": "user"}),
    "get_webpage": ("dojo-web", "read", {"resource_parameter": "url"}),
    "post_webpage": ("dojo-web", "external_communication", {"resource_parameter": "url"}),
}


def inventory(suites: Iterable[Json], owner: str, *, new_owner: bool) -> dict[str, Json]:
    """The inventory of some suites, all agents of which `owner` owns."""
    found = list(suites)
    tools = [_tool(tool) for suite in found for tool in suite["tools"]]
    used = {tool["system"] for tool in tools}
    document: dict[str, Json] = {"muster": 1}
    if new_owner:
        document["people"] = [
            {
                "email": owner,
                "name": "Owner of the benchmarks",
                "chat_handle": "@benchmarks",
                "groups": ["platform_admin", "security"],
            }
        ]
    return document | {
        "gateways": [{"slug": GATEWAY, "name": "Gateway of the benchmarks"}],
        "systems": [{"slug": s, **facts} for s, facts in SYSTEMS.items() if s in used],
        "tools": tools,
        "roles": [_role(suite) for suite in found],
        "agents": [_agent(suite, owner) for suite in found],
    }


def slug_of(suite: Json) -> str:
    """The agent and the role of a suite."""
    return f"dojo-{suite['suite']}"


def benign_calls(suite: Json) -> Iterator[Json]:
    """Every call of the user tasks, as their ground truth has them."""
    for task in suite["user_tasks"]:
        yield from task["calls"]


def _allowed(suite: Json) -> list[str]:
    return sorted({call["function"] for call in benign_calls(suite)})


def _tool(tool: Json) -> dict[str, Json]:
    system, effect, meanings = TOOLS[tool["name"]]
    return {
        "name": tool["name"],
        "description": tool["description"],
        "system": system,
        "effect": effect,
        **meanings,
        # Only what Muster demands of every schema is added: it must describe an object.
        "schema": {"type": "object", **tool["parameters"]},
    }


def _role(suite: Json) -> dict[str, Json]:
    return {
        "slug": slug_of(suite),
        "description": f"What the benign tasks of the {suite['suite']} suite call",
        "tools": _allowed(suite),
    }


def _agent(suite: Json, owner: str) -> dict[str, Json]:
    return {
        "slug": slug_of(suite),
        "name": f"Assistant of the {suite['suite']} suite",
        "purpose": f"Carries out the tasks of the {suite['suite']} suite of AgentDojo.",
        "owner": owner,
        "roles": [slug_of(suite)],
        "allowlist": [{"tool": name} for name in _allowed(suite)],
        "rate_per_minute": 6000,
        "rate_per_hour": 100000,
        "spend_cap_minor": 0,
        "attest": True,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="+", type=Path, help="banking.json, slack.json")
    parser.add_argument("--owner", required=True, help="e-mail address of the agents' owner")
    parser.add_argument("--new-owner", action="store_true", help="put the owner into it as well")
    given = parser.parse_args()
    suites = [json.loads(path.read_text()) for path in given.suites]
    sys.stdout.write(write_yaml(inventory(suites, given.owner, new_owner=given.new_owner)))


if __name__ == "__main__":
    main()
