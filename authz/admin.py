"""Roles, policies and the toxic catalogue in the admin, through the same services."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from authz import pages, selectors, services
from authz.cases import with_emails
from authz.enums import PolicyState
from authz.models import ExternalPDP, Policy, Relationship, Role, Signature, ToxicCombination
from governance.kernel.errors import GovernanceError
from registry import changes
from registry.admin import Acting, LookedAt, ServiceAdmin
from registry.people import signed_in


@admin.register(Role)
class RoleAdmin(ServiceAdmin):
    """What grants tools. What grants more to someone waits for a second person."""

    list_display = ["slug", "description"]
    search_fields = ["slug", "description"]
    filter_horizontal = ["tools", "agents", "people"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        given.pop("slug", None)
        return services.save_role(slug=obj.slug, by=signed_in(request), **given)


@admin.register(Policy)
class PolicyAdmin(Acting, ServiceAdmin):
    """Every version of every policy. What was proposed never changes: a change is the next one."""

    list_display = ["slug", "version", "state", "log_only", "proposed_by", "activated_at"]
    list_filter = ["state", "log_only"]
    list_select_related = ["proposed_by"]
    search_fields = ["slug", "description", "text"]
    fields = ["slug", "description", "text", "log_only", "cases", "why"]
    change_form_template = "admin/authz/policy/decide.html"
    acts = {"agree": "agree", "reject": "reject", "withdraw": "withdraw"}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        policy = self.get_object(request, unquote(object_id))
        more = self._review(request, policy) if policy else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def _review(self, request: HttpRequest, policy: Policy) -> dict[str, Any]:
        active = Policy.objects.filter(slug=policy.slug, state=PolicyState.ACTIVE).first()
        against = active if active and active.pk != policy.pk else None
        change, by = selectors.changes_of_policy(policy.slug).get(policy.uid), signed_in(request)
        return {
            "policy": policy,
            "against": against,
            "difference": pages.difference(against.text if against else "", policy.text),
            "preview": pages.preview(policy),
            # `change` is a word of the admin itself.
            "waits": change is not None,
            "why_not": changes.can_agree(change, by) if change else "",
            "own": bool(change and change.proposed_by_id == by.pk),
        }

    def agree(self, request: HttpRequest, policy: Policy) -> str:
        """The second person's yes."""
        answer = request.POST.get("answer", "")
        services.agree_policy(policy_id=policy.pk, by=signed_in(request), answer=answer)
        return f"Agreed. {policy.uid} is in force from now on."

    def reject(self, request: HttpRequest, policy: Policy) -> str:
        """The second person's no."""
        answer = request.POST.get("answer", "")
        services.reject_policy(policy_id=policy.pk, by=signed_in(request), answer=answer)
        return f"{policy.uid} is rejected. Its author reads your reason."

    def withdraw(self, request: HttpRequest, policy: Policy) -> str:
        """The proposer takes it back."""
        services.withdraw_policy(policy_id=policy.pk, by=signed_in(request))
        return f"{policy.uid} is taken back. Nothing has changed."

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """`?slug=` starts from the version in force."""
        slug = request.GET.get("slug", "")
        current = Policy.objects.filter(slug=slug, state=PolicyState.ACTIVE).first()
        if current is None:
            return dict(super().get_changeform_initial_data(request))
        return {
            "slug": slug,
            "description": current.description,
            "text": current.text,
            "log_only": current.log_only,
            "cases": with_emails(current.cases),
        }

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        policy = services.propose_policy(
            slug=obj.slug,
            text=obj.text,
            description=obj.description,
            log_only=obj.log_only,
            cases=obj.cases,
            why=obj.why,
            by=signed_in(request),
        )
        if policy.state == PolicyState.PROPOSED:
            messages.warning(request, f"{policy.uid} waits for a second person to agree.")
        return policy


@admin.register(ToxicCombination)
class ToxicCombinationAdmin(ServiceAdmin):
    """Data that is dangerous together. What would guard less waits for a second person."""

    list_display = ["slug", "categories", "effects", "implied_tier", "only_listed", "is_active"]
    list_filter = ["implied_tier", "only_listed", "is_active"]
    search_fields = ["slug", "reason", "reference"]
    actions = ["take_out"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        given.pop("slug", None)
        return services.save_toxic(slug=obj.slug, by=signed_in(request), **given)

    @admin.action(description="Take out", permissions=["change"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[ToxicCombination]) -> None:
        """Remove the chosen ones; those in force wait for a second person."""
        for row in queryset:
            try:
                saved = services.remove_toxic(slug=row.slug, by=signed_in(request))
            except GovernanceError as error:
                messages.error(request, f"{row.slug}: {error.message}")
            else:
                waits = [f"Waits for a second person: {each.summary}" for each in saved.proposed]
                messages.warning(request, waits[0] if waits else f"{row.slug} was taken out.")


@admin.register(Signature)
class SignatureAdmin(ServiceAdmin):
    """Texts that no parameter may hold. What lets more through waits for a second person."""

    list_display = ["slug", "reason", "effects", "tools", "is_active"]
    list_filter = ["is_active"]
    search_fields = ["slug", "reason", "pattern"]
    actions = ["take_out"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        given.pop("slug", None)
        return services.save_signature(slug=obj.slug, by=signed_in(request), **given)

    @admin.action(description="Take out", permissions=["change"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[Signature]) -> None:
        """Remove the chosen ones; those in force wait for a second person."""
        for row in queryset:
            try:
                saved = services.remove_signature(slug=row.slug, by=signed_in(request))
            except GovernanceError as error:
                messages.error(request, f"{row.slug}: {error.message}")
            else:
                waits = [f"Waits for a second person: {each.summary}" for each in saved.proposed]
                messages.warning(request, waits[0] if waits else f"{row.slug} was taken out.")


@admin.register(ExternalPDP)
class ExternalPDPAdmin(ServiceAdmin):
    """Decision points of others. What could refuse less or tells them more waits for a second."""

    list_display = ["slug", "url", "tools", "roles", "owner", "is_active"]
    list_filter = ["is_active"]
    list_select_related = ["owner"]
    search_fields = ["slug", "url", "description"]
    autocomplete_fields = ["owner"]
    actions = ["take_out"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        given.pop("slug", None)
        return services.save_pdp(slug=obj.slug, by=signed_in(request), **given)

    @admin.action(description="Take out", permissions=["change"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[ExternalPDP]) -> None:
        """Remove the chosen ones; those in force wait for a second person."""
        for row in queryset:
            try:
                saved = services.remove_pdp(slug=row.slug, by=signed_in(request))
            except GovernanceError as error:
                messages.error(request, f"{row.slug}: {error.message}")
            else:
                waits = [f"Waits for a second person: {each.summary}" for each in saved.proposed]
                messages.warning(request, waits[0] if waits else f"{row.slug} was taken out.")


@admin.register(Relationship)
class RelationshipAdmin(LookedAt):
    """Tuples that policies may ask about; changed on the site and by `apply`."""

    list_display = ["resource_type", "resource_id", "relation", "subject_type", "subject_id"]
    list_filter = ["resource_type", "relation"]
    search_fields = ["resource_id", "subject_id"]
