"""What the frame of every page knows: where one can go, who looks, what must be said loudly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from audit.enums import Mark as MarkName
from audit.models import Mark
from governance.kernel.emergency import current
from lifecycle.break_glass.selectors import unreviewed
from lifecycle.inbox.entries import queue_for
from registry.enums import Employment, GroupName
from registry.models import Person
from registry.oidc import listed
from registry.permissions import OPERATORS, in_group
from registry.selectors import still_live_for


@dataclass(frozen=True)
class Page:
    """A page in the navigation. `covers` are the other pages that count as being there."""

    label: str
    name: str
    icon: str
    covers: tuple[str, ...] = ()
    query: str = ""
    short: str = ""
    staff: bool = False
    operators: bool = False
    proof: bool = False
    readers: bool = False
    # Further groups that a page of proof is open to.
    more: tuple[str, ...] = ()
    url: str = ""
    here: bool = False
    # What stands beside the word; asked for where it is shown, and nowhere else.
    count: Any = 0


@dataclass(frozen=True)
class Group:
    """Pages under one heading."""

    title: str
    pages: tuple[Page, ...]


_POLICY_PAGES = (
    *("policy", "policy_new", "policy_edit", "policy_version", "policy_retire", "policy_words"),
    *("roles", "role", "role_new", "relationships", "relationship_new", "toxic", "signatures"),
    *("pdps", "pdp"),
    *("toxic_combination", "toxic_new", "toxic_change"),
)
_PEOPLE_PAGES = (
    *("person", "person_change", "person_employment", "people_import", "people_import_one"),
    *("people_webhooks", "directories", "directory", "provisioning_log", "source_groups"),
)
_GROUPS = (
    Group(
        "",
        (
            Page("Home", "home", "home", short="Home"),
            Page("Inbox", "inbox", "inbox", covers=("inbox_edit", "deciding"), short="Inbox"),
            Page("Due", "due", "clock", covers=("strays",)),
            Page("My agents", "agents", "agents", covers=("agent",), short="Agents"),
            Page(
                "My grants",
                "my_grants",
                "grants",
                covers=("my_calls", "my_grants_end", "grant_again"),
            ),
            Page("Register an agent", "agent_register", "proof", covers=("agent_import",)),
            Page("Notices", "notices", "clock", covers=("channels", "mails")),
            Page("Absences", "absences", "clock"),
        ),
    ),
    Group(
        "Register",
        (
            Page("All agents", "agents", "agents", query="all=1"),
            Page(
                "Templates",
                "templates",
                "proof",
                covers=("template", "template_new", "template_propose"),
            ),
            Page("Systems and tools", "systems", "systems", covers=("system", "tools", "tool")),
            Page("Policies and roles", "policies", "policy", covers=_POLICY_PAGES),
            Page(
                "Preview a change",
                "previews",
                "glance",
                covers=(
                    *("preview", "preview_difference", "policy_preview", "preview_policy"),
                    *("preview_role", "preview_allowlist", "preview_system"),
                ),
            ),
            Page("Simulator", "simulator", "more"),
            Page("Coverage", "coverage", "systems"),
            Page("People", "people", "grants", covers=_PEOPLE_PAGES),
            Page("Leavers", "leavers", "stop", covers=("leaver",), readers=True),
            Page(
                "Grants",
                "grants",
                "grants",
                covers=("grant_end", "grants_beforehand", "grants_beforehand_propose"),
                readers=True,
            ),
            Page("Keys that are due", "rotation", "key", covers=("agent_scope", "rotation_fetch")),
            Page(
                "What already runs",
                "campaigns",
                "search",
                covers=("campaign", "campaign_new"),
                operators=True,
            ),
            Page("Suspended", "suspended", "stop", covers=("suspend_many", "suspension")),
        ),
    ),
    Group(
        "Proof",
        (
            Page(
                "Overview",
                "overview",
                "glance",
                covers=("overview_agents", "overview_holds"),
                proof=True,
                more=(GroupName.DPO,),
            ),
            Page(
                "Evidence",
                "evidence",
                "proof",
                covers=(
                    *("evidence_framework", "evidence_control", "evidence_annex"),
                    *("evidence_compare", "evidence_reports", "evidence_report"),
                ),
                proof=True,
                more=(GroupName.DPO,),
            ),
            Page(
                "Self-audit",
                "self_audit",
                "proof",
                covers=("self_audit_point",),
                proof=True,
                more=(GroupName.DPO,),
            ),
            Page("Trail", "trail", "trail", covers=("record",), short="Trail"),
            Page("Incident", "incident", "search"),
            Page(
                "Data subjects",
                "subjects",
                "grants",
                covers=("subject", "subject_find", "subject_request", "legal_holds", "retention"),
                proof=True,
                more=(GroupName.DPO,),
            ),
            Page("What is sealed", "proof", "proof"),
            Page("Toxic findings", "toxic_findings", "warn", covers=("toxic_finding",)),
            Page("Alerts", "anomalies", "warn", covers=("anomaly",)),
            Page(
                "Not asked",
                "bypass",
                "warn",
                covers=("bypass_of_tool", "bypass_log", "bypass_import"),
            ),
            Page("Outside the pattern", "deviations", "warn"),
            Page("Unregistered callers", "callers", "search"),
            Page("No row, no key", "selftest", "key", proof=True),
            Page("Sweeps", "sweeps", "clock", operators=True),
            Page(
                "Emergency access",
                "break_glass_uses",
                "warn",
                covers=("break_glass_use", "break_glass_codes"),
                readers=True,
            ),
            Page("Admin", "admin:index", "key", staff=True),
        ),
    ),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Navigation, demo mark, the notice of a missing second person, the reader's zone.

    Both marks are lazy: a fragment that does not show them asks the database nothing.
    """
    user = getattr(request, "user", None)
    signed_in = bool(user and user.is_authenticated)
    groups = navigation(request) if signed_in else ()
    return {
        "navigation": groups,
        "tabs": tuple(page for group in groups for page in group.pages if page.short),
        "demo": SimpleLazyObject(is_demo),
        "demo_people": SimpleLazyObject(lambda: demo_people() if is_demo() else []),
        "no_separation": SimpleLazyObject(lambda: signed_in and not duties_are_separate()),
        "still_live": SimpleLazyObject(
            lambda: still_live_for(user) if isinstance(user, Person) else []
        ),
        "zone_place": zone_place(),
        "emergency": SimpleLazyObject(lambda: unreviewed() if signed_in else None),
        "in_emergency": bool(current()),
        "ways_in": SimpleLazyObject(listed.configured),
        "local_sign_in": SimpleLazyObject(listed.local_is_on),
    }


def zone_place() -> str:
    """The place of the reader's zone: `Copenhagen`; nothing for UTC, which is nowhere."""
    name = timezone.get_current_timezone_name()
    return name.rpartition("/")[2].replace("_", " ") if "/" in name else ""


def is_demo() -> bool:
    """Whether this database was marked as a demo, for good."""
    return Mark.objects.filter(name=MarkName.DEMO).exists()


def demo_people() -> list[dict[str, Any]]:
    """The made-up people that the sign-in page of a demo offers, by what they are there for."""
    people = Person.objects.filter(is_active=True).annotate(owned=Count("owned_agents"))
    found = [
        {"name": person.name, "email": person.email, "pid": person.pid, "roles": roles}
        for person in people.prefetch_related("groups").order_by("name")
        if (roles := _roles(person, owns=bool(person.owned)))
    ]
    return sorted(found, key=lambda each: each["roles"][0] != "owner")


def _roles(person: Person, *, owns: bool) -> list[str]:
    groups = sorted(group.name for group in person.groups.all())
    return ["owner"] * owns + groups


def duties_are_separate() -> bool:
    """Whether at least two people who may sign in stand in the security group."""
    security = Person.objects.filter(groups__name=GroupName.SECURITY, is_active=True)
    return security.exclude(employment=Employment.LEFT).count() >= 2


def navigation(request: HttpRequest) -> tuple[Group, ...]:
    """The pages that exist and that this person may open, with the current one marked."""
    placed = (
        Group(group.title, tuple(_placed(page, request) for page in group.pages))
        for group in _GROUPS
    )
    shown = (
        Group(group.title, tuple(page for page in group.pages if page.url)) for group in placed
    )
    return tuple(group for group in shown if group.pages)


def _placed(page: Page, request: HttpRequest) -> Page:
    if not _is_open(page, request):
        return page
    try:
        url = reverse(page.name)
    except NoReverseMatch:
        return page
    url = f"{url}?{page.query}" if page.query else url
    count = SimpleLazyObject(lambda: _count(request)) if page.name == "inbox" else 0
    return replace(page, url=url, here=_is_here(page, request), count=count)


def _is_open(page: Page, request: HttpRequest) -> bool:
    person = request.user
    if page.readers:
        return isinstance(person, Person) and person.reads_everything
    if page.operators or page.proof:
        groups = (*OPERATORS, GroupName.AUDITOR, *page.more) if page.proof else OPERATORS
        return isinstance(person, Person) and in_group(person, *groups)
    return not page.staff or bool(getattr(person, "is_staff", False))


def _count(request: HttpRequest) -> int:
    """How much waits for who looks."""
    return len(queue_for(request).mine) if isinstance(request.user, Person) else 0


def _is_here(page: Page, request: HttpRequest) -> bool:
    match = request.resolver_match
    if match is None:
        return False
    if match.view_name == page.name == "agents":
        return bool(request.GET.get("all")) == bool(page.query)
    return match.view_name == page.name or match.view_name in page.covers
