"""Reviews in the admin, where security and the DPO work: the queue by due date, one page each."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse

from governance.kernel.database_clock import database_now
from governance.kernel.errors import NotFound
from lifecycle.models import Review, ReviewStep
from lifecycle.models.reviews import ReviewState, StepState
from lifecycle.reviews import page, services
from registry.admin import LookedAt
from registry.enums import GroupName
from registry.models import Person
from registry.people import signed_in
from registry.permissions import in_group

READERS = (GroupName.SECURITY, GroupName.DPO, GroupName.AUDITOR, GroupName.PLATFORM_ADMIN)
WAITING = Q(steps__state=StepState.WAITING)


class Mine(admin.SimpleListFilter):
    """Reviews that wait for me, all that are open, or every one."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "for me"), ("overdue", "overdue"), ("all", "every one, closed as well")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        rows = queryset.filter(state=ReviewState.OPEN)
        if self.value() == "overdue":
            return rows.filter(due__lt=database_now())
        if self.value() == "mine":
            roles = signed_in(request).group_names & {"security", "dpo"}
            steps = ReviewStep.objects.filter(state=StepState.WAITING, role__in=roles)
            return rows.filter(pk__in=steps.values("review"))
        return rows


@admin.register(Review)
class ReviewAdmin(LookedAt):
    """The queue, soonest due first; a page shows one and takes the answer."""

    list_display = ["due", "asks", "owner", "tier", "kind", "signed", "state"]
    list_display_links = ["asks"]
    list_filter = [Mine, "kind", "tier"]
    search_fields = ["agent__slug", "agent__owner__name"]
    change_form_template = "admin/lifecycle/review/review.html"
    acts = {
        "approve": "approve",
        "ask-for-change": "ask_for_change",
        "reject": "reject",
        "comment": "comment",
        "go-live": "go_live",
    }

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The sign-in page asks as well, of nobody.
        return isinstance(request.user, Person) and in_group(request.user, *READERS)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> Any:
        # Not Django's own, which sorts before there is a due date to sort by.
        rows = Review.objects.visible_to(signed_in(request))
        return (
            rows.select_related(
                "agent__owner", "agent__backup_owner", "change__proposed_by", "opened_by"
            )
            .annotate(
                due=Min("steps__due", filter=WAITING),
                steps_signed=Count("steps", filter=Q(steps__state=StepState.APPROVED)),
                steps_all=Count("steps"),
            )
            .order_by("due", "-opened_at")
        )

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return ["due", "-opened_at"]

    @admin.display(description="due", ordering="due")
    def due(self, review: Review) -> Any:
        return getattr(review, "due", None)

    @admin.display(description="review", ordering="agent__slug")
    def asks(self, review: Review) -> str:
        return review.agent.slug

    @admin.display(description="owner", ordering="agent__owner__name")
    def owner(self, review: Review) -> str:
        return str(review.agent.owner)

    @admin.display(description="signed")
    def signed(self, review: Review) -> str:
        return f"{getattr(review, 'steps_signed', 0)} of {getattr(review, 'steps_all', 0)}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        more = page.page_of(found, signed_in(request)) if found else {}
        # `change` is a word of the admin itself.
        more["proposed"] = more.pop("change", None)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def approve(self, request: HttpRequest, review: Review) -> str:
        """Sign as the role of the step, for what was shown."""
        after = services.approve_step(
            step_id=_step(request),
            by=signed_in(request),
            reason=request.POST.get("reason", ""),
            digest=request.POST.get("digest", ""),
        )
        if after.is_open:
            return "Signed. It waits for the others."
        return "Signed. Everyone has, so it is in effect from now on."

    def ask_for_change(self, request: HttpRequest, review: Review) -> str:
        """Back to its owner, with what must change."""
        services.ask_for_change(
            step_id=_step(request), by=signed_in(request), reason=request.POST.get("reason", "")
        )
        return f"{review.agent.slug} was sent back. Its owner reads your reason."

    def reject(self, request: HttpRequest, review: Review) -> str:
        """No, with the reason."""
        services.reject_step(
            step_id=_step(request), by=signed_in(request), reason=request.POST.get("reason", "")
        )
        return f"{review.agent.slug} was rejected. Its owner reads your reason."

    def comment(self, request: HttpRequest, review: Review) -> str:
        """Something that all who see the review read."""
        services.add_comment(
            review_id=review.pk, by=signed_in(request), text=request.POST.get("text", "")
        )
        return "It stands in the timeline."

    def go_live(self, request: HttpRequest, review: Review) -> str:
        """Try again where everyone has signed."""
        services.go_live(review_id=review.pk, by=signed_in(request))
        return f"{review.agent.slug} is live."


def _step(request: HttpRequest) -> int:
    given = request.POST.get("step", "")
    if not given.isdecimal() or len(given) > 18:
        raise NotFound("Say which step you answer: load the review again.")
    return int(given)
