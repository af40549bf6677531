"""Whom and what the words of a log stand for on the register."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F

from lifecycle.models import ToolLog
from registry.models import Agent, Client, CredentialReference, ExternalClient, Tool


def agents_of(log: ToolLog, identities: Iterable[str]) -> dict[str, Agent]:
    """The agent of each account, where one is known.

    An account that the log's own list names goes before a client id, a credential's reference, a
    client id in a provider outside, and an agent's name.
    """
    wanted = set(identities)
    named = {who: slug for who, slug in log.identities.items() if who in wanted}
    by_name: dict[str, str] = {}
    for found in (
        Agent.objects.filter(slug__in=wanted).values_list("slug", "slug"),
        _outside(wanted),
        CredentialReference.objects.filter(reference__in=wanted).values_list(
            "reference", "agent__slug"
        ),
        Client.objects.filter(client_id__in=wanted, agent__isnull=False).values_list(
            "client_id", "agent__slug"
        ),
    ):
        by_name |= dict(found)
    by_name |= named
    agents = {each.slug: each for each in Agent.objects.filter(slug__in=set(by_name.values()))}
    return {who: agents[slug] for who, slug in by_name.items() if slug in agents}


def _outside(wanted: set[str]) -> Iterable[tuple[str, str]]:
    """Client ids outside; one that two agents have in two providers is nobody's."""
    rows = ExternalClient.objects.filter(client_id__in=wanted).annotate(slug=F("agent__slug"))
    found: dict[str, set[str]] = {}
    for client_id, slug in rows.values_list("client_id", "slug"):
        found.setdefault(client_id, set()).add(slug)
    return [(each, slugs.pop()) for each, slugs in found.items() if len(slugs) == 1]


def tools_of(log: ToolLog, actions: Iterable[str]) -> dict[str, str]:
    """The tool of each action, "" for one that is no call. What is in neither list is missing."""
    wanted = set(actions)
    known = Tool.objects.filter(system=log.system, name__in=wanted).values_list("name", flat=True)
    found = {name: name for name in known}
    return found | {each: tool for each, tool in log.actions.items() if each in wanted}
