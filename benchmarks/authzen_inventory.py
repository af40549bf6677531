"""The AuthZEN interop sets as inventories: people, roles, tools, resource types, Cedar policies.

    python benchmarks/authzen_inventory.py both users.json > authzen.yaml
    ./muster apply authzen.yaml --as EMAIL --bootstrap --secrets secrets.json

`todo` reads its users and their roles from the interop set; `both` is one inventory of the two,
since bootstrapping ends with the first policy. With `--admin EMAIL` the inventory starts with a
person who may apply it to an empty installation.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lifecycle.apply.writing import write_yaml

Json = Any

TODO_TOOLS = {
    "can_read_user": "read",
    "can_read_todos": "read",
    "can_create_todo": "write",
    "can_update_todo": "write",
    "can_delete_todo": "destructive",
}
_READS = ["can_read_todos", "can_read_user"]
TODO_ROLES = {
    "viewer": _READS,
    "editor": ["can_create_todo", "can_delete_todo", *_READS, "can_update_todo"],
    "admin": ["can_create_todo", "can_delete_todo", *_READS],
    "evil_genius": [*_READS, "can_update_todo"],
}
_OWN = "resource has ownerID && principal has email && resource.ownerID == principal.email"
TODO_POLICIES = {
    "todo-read": """permit (
  principal is Muster::Person,
  action in [Muster::Action::"can_read_user", Muster::Action::"can_read_todos"],
  resource
);
""",
    "todo-create-admin": """permit (
  principal is Muster::Person in Muster::Role::"admin",
  action == Muster::Action::"can_create_todo",
  resource is Muster::Todo
);
""",
    "todo-create-editor": """permit (
  principal is Muster::Person in Muster::Role::"editor",
  action == Muster::Action::"can_create_todo",
  resource is Muster::Todo
);
""",
    "todo-update-any": """permit (
  principal is Muster::Person in Muster::Role::"evil_genius",
  action == Muster::Action::"can_update_todo",
  resource is Muster::Todo
);
""",
    "todo-delete-any": """permit (
  principal is Muster::Person in Muster::Role::"admin",
  action == Muster::Action::"can_delete_todo",
  resource is Muster::Todo
);
""",
    "todo-change-own": f"""permit (
  principal is Muster::Person in Muster::Role::"editor",
  action in [Muster::Action::"can_update_todo", Muster::Action::"can_delete_todo"],
  resource is Muster::Todo
) when {{ {_OWN} }};
""",
}

CERTIFICATION_POLICIES = {
    "record-read": """permit (
  principal is Muster::Person in Muster::Role::"record-user",
  action == Muster::Action::"read",
  resource is Muster::Record
);
""",
    "record-write": """permit (
  principal is Muster::Person in Muster::Role::"record-editor",
  action == Muster::Action::"write",
  resource is Muster::Record
) unless { resource has status && resource.status == "archived" };
""",
    "record-write-archived": """permit (
  principal is Muster::Person in Muster::Role::"record-user",
  action == Muster::Action::"write",
  resource is Muster::Record
) when {
  principal has role && principal.role == "admin" &&
  resource has status && resource.status == "archived"
};
""",
    "record-delete-soft": """permit (
  principal is Muster::Person in Muster::Role::"record-editor",
  action == Muster::Action::"delete",
  resource is Muster::Record
) when { context.parameters has soft && context.parameters.soft };
""",
}


def todo(users: Json) -> dict[str, Json]:
    """The todo application: five people of the interop set, by the ids that its calls carry."""
    held: dict[str, list[str]] = {role: [] for role in TODO_ROLES}
    for user in users.values():
        for role in user["roles"]:
            held[role].append(user["email"])
    return {
        "muster": 1,
        "people": [
            {
                "email": user["email"],
                "name": user["name"],
                "external_ids": [{"source": "authzen-todo", "id": subject}],
            }
            for subject, user in users.items()
        ],
        "gateways": [
            {"slug": "authzen-todo", "name": "AuthZEN todo interop", "source": "authzen-todo"}
        ],
        "resource_types": [{"slug": "user"}, {"slug": "todo", "attributes": {"ownerID": "caller"}}],
        "systems": [{"slug": "authzen-todo", "name": "AuthZEN todo", "tier": "internal"}],
        "tools": [
            {"name": name, "system": "authzen-todo", "effect": effect, "schema": _anything()}
            for name, effect in TODO_TOOLS.items()
        ],
        "roles": [
            {"slug": role, "tools": tools, "people": held[role]}
            for role, tools in TODO_ROLES.items()
        ],
        "policies": [{"slug": slug, "text": text} for slug, text in TODO_POLICIES.items()],
    }


def certification() -> dict[str, Json]:
    """The fixture of the certification scenario."""
    source = "authzen-certification"
    tools: dict[str, tuple[str, Json]] = {
        "read": ("read", {"method": {"type": "string"}}),
        "write": ("write", {}),
        "delete": ("destructive", {"soft": {"type": "boolean"}}),
    }
    people = {"alice": "alice@authzen.example", "bob": "bob@authzen.example"}
    # What the fixture knows of its own accord: searches ask without sending it.
    attributes: dict[str, Json] = {"alice": {}, "bob": {"role": "admin"}}
    statuses = {"record-1": "active", "record-2": "archived"}
    return {
        "muster": 1,
        "people": [
            {
                "email": email,
                "name": name.capitalize(),
                "attributes": attributes[name],
                "external_ids": [{"source": source, "id": name}],
            }
            for name, email in people.items()
        ],
        "gateways": [{"slug": source, "name": "AuthZEN certification", "source": source}],
        "resource_types": [
            {"slug": "user", "attributes": {"role": "loaded"}},
            {
                "slug": "record",
                "attributes": {"status": "loaded"},
                "entities": [
                    {"id": record, "attributes": {"status": status}}
                    for record, status in statuses.items()
                ],
            },
        ],
        "systems": [{"slug": "authzen-records", "name": "AuthZEN records", "tier": "internal"}],
        "tools": [
            {
                "name": name,
                "system": "authzen-records",
                "effect": effect,
                "schema": _anything(properties),
            }
            for name, (effect, properties) in tools.items()
        ],
        "roles": [
            {"slug": "record-user", "tools": ["read", "write"], "people": list(people.values())},
            {
                "slug": "record-editor",
                "tools": ["delete", "read", "write"],
                "people": [people["alice"]],
            },
        ],
        "policies": [{"slug": slug, "text": text} for slug, text in CERTIFICATION_POLICIES.items()],
    }


def both(users: Json) -> dict[str, Json]:
    """Both scenarios in one inventory. They share the type `user`, of which one says more."""
    one, other = todo(users), certification()
    one["resource_types"] = [each for each in one["resource_types"] if each["slug"] != "user"]
    lists = [name for name in one if name != "muster"]
    return {"muster": 1, **{name: [*one[name], *other[name]] for name in lists}}


def _anything(properties: Json = None) -> dict[str, Json]:
    """The interop sets send action properties that nobody declared, to be ignored."""
    return {"type": "object", "properties": properties or {}, "additionalProperties": True}


def with_admin(document: dict[str, Json], email: str) -> dict[str, Json]:
    """`document` with a first person who may apply it."""
    admin = {
        "email": email,
        "name": "Administrator of the interop sets",
        "groups": ["platform_admin", "security"],
    }
    return {**document, "people": [admin, *document["people"]]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenario", choices=["todo", "certification", "both"])
    parser.add_argument("users", nargs="?", type=Path, help="users.json of the todo set")
    parser.add_argument("--admin", default="", help="add this person as administrator")
    given = parser.parse_args()
    if given.scenario != "certification" and not given.users:
        parser.error(f"{given.scenario} needs users.json")
    users = json.loads(given.users.read_text()) if given.users else {}
    make = {"todo": lambda: todo(users), "both": lambda: both(users)}
    document = make.get(given.scenario, certification)()
    sys.stdout.write(write_yaml(with_admin(document, given.admin) if given.admin else document))


if __name__ == "__main__":
    main()
