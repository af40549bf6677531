"""A register on which every template of Muster finds something that fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authz.models import Role
from lifecycle.models import Template
from lifecycle.templates import services
from registry import changes
from registry.enums import GroupName
from registry.models import Person, ProposedChange, Tool
from tests.factories.registry import make_person, make_system, make_tool, security

CHANNEL: dict[str, Any] = {
    "type": "object",
    "properties": {"channel": {"type": "string", "maxLength": 60}, "text": {"type": "string"}},
    "required": ["channel", "text"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Fitted:
    """Tools that fit, the role that grants them, and an owner."""

    owner: Person
    reads: Tool
    elsewhere: Tool
    posts: Tool
    writes: Tool
    role: Role


def make_fitted(tier: str = "internal") -> Fitted:
    """Two systems to read, a place to write and a channel to post to, of one tier."""
    reads = make_tool(make_system(slug="figures", tier=tier), name="figures.read", effect="read")
    elsewhere = make_tool(make_system(slug="wiki", tier=tier), name="wiki.read", effect="read")
    posts = make_tool(
        make_system(slug="chat", tier=tier),
        name="chat.post",
        effect="write",
        schema=CHANNEL,
        resource_parameter="channel",
        recipient_parameter="channel",
    )
    writes = make_tool(make_system(slug="lake", tier=tier), name="lake.write", effect="write")
    role = Role.objects.create(slug="desk")
    role.tools.add(reads, elsewhere, posts, writes)
    return Fitted(make_person(chat_handle="@owner"), reads, elsewhere, posts, writes, role)


def make_version(slug: str = "read-only-summarizer", **changed: Any) -> Template:
    """A version that one proposed and another agreed to."""
    last = Template.objects.filter(slug=slug).order_by("-version").first()
    given = {
        "name": last.name if last else "A template",
        "summary": last.summary if last else "For tests.",
        "content": last.content if last else {},
        "approved_tier": "internal",
    } | changed
    services.propose_template(slug=slug, by=security(), **given)
    change = ProposedChange.objects.get(
        kind=services.ACTIVATION_KIND, target=slug, state="proposed"
    )
    group = GroupName.DPO if given["approved_tier"] == "restricted" else GroupName.SECURITY
    changes.agree(change_id=change.pk, by=make_person(group))
    return Template.objects.get(slug=slug, state="active")
