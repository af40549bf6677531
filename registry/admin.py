"""The admin: where security, platform admins and system owners keep the register.

Every change goes through the same services as the site and the API, so that permissions, the
second person and the record are the same. Nothing is deleted here but what a service removes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import admin as _auth_admin  # noqa: F401  (registers Group)
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from simple_history.admin import SimpleHistoryAdmin

from governance.kernel.errors import GovernanceError
from governance.pictures import Reach as Picture
from registry import changes, permissions, services
from registry.enums import AgentState, GroupName
from registry.models import (
    Agent,
    Agreement,
    Clearance,
    Client,
    Gateway,
    Person,
    ProposedChange,
    Resource,
    ResourceType,
    System,
    Tool,
    ToolAccess,
    UnregisteredCaller,
)
from registry.people import signed_in
from registry.pictures import picture_of
from registry.reach import PREFETCH, reach_of, reaches_of

# The admin of `auth` registered it when it was imported above.
admin.site.unregister(Group)


class Chosen(AutocompleteSelect):
    """Django's choice by typing, which breaks where a form comes back with what is no number."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        return super().optgroups(name, [each for each in value if str(each).isdecimal()], attr)


class ServiceAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    """A model whose changes go through a service. What a service refuses is shown on the form."""

    list_per_page = 50
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", Chosen(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Django's page; a refusal of a service undoes everything and shows the form again."""
        try:
            with transaction.atomic():
                response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        except GovernanceError as error:
            request.refusal = error  # type: ignore[attr-defined]
            response = super().changeform_view(request, *args, **kwargs)
        return response

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        base = super().get_form(request, *args, **kwargs)
        refusal: GovernanceError | None = getattr(request, "refusal", None)
        if refusal is None:
            return base

        return _refused(base, refusal)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Hand what changed to the service instead of saving it here."""
        given = {name: form.cleaned_data[name] for name in form.fields if name in form.changed_data}
        saved = self.write(request, obj, given, change=change)
        row = getattr(saved, "row", saved)
        obj.pk = row.pk
        obj._state.adding = False
        for proposed in getattr(saved, "proposed", ()):
            messages.warning(request, f"Waits for a second person: {proposed.summary}")

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        """Call the service; `given` are the changed fields. Returns the row or a `Saved`."""
        raise NotImplementedError

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Inlines are not saved by their formsets, so these do not know what became of them."""
        return super().construct_change_message(request, form, [], add)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Inlines are written by `write_inline`; there are no many-to-many fields to save."""
        for formset in formsets:
            if formset.has_changed():
                self.write_inline(request, form.instance, formset)

    def write_inline(self, request: HttpRequest, obj: Any, formset: Any) -> None:
        """Call the services of an inline's rows."""
        raise NotImplementedError


def _refused(base: Any, refusal: GovernanceError) -> Any:
    """The form with the sentence of the service that refused it, beside its field if it has one."""

    class Refused(base):  # type: ignore[misc]
        def clean(self) -> Any:
            cleaned = super().clean()
            known = {name: said for name, said in refusal.fields.items() if name in self.fields}
            for name, sentences in known.items():
                self.add_error(name, list(sentences))
            if not known:
                raise ValidationError(refusal.message)
            return cleaned

    return Refused


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    groups = forms.MultipleChoiceField(
        choices=GroupName.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Joining one takes effect when a second person agrees; leaving one at once.",
    )

    class Meta:
        model = Person
        fields = [
            "name",
            "email",
            "chat_handle",
            "department",
            "manager",
            "zone",
            "calendar",
            "attributes",
            "employment",
            "last_day",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["groups"] = list(self.instance.groups.values_list("name", flat=True))


# Changed on the person's own page, where one sees what follows.
ON_THEIR_PAGE = ("department", "manager", "zone", "calendar", "employment", "last_day")


@admin.register(Person)
class PersonAdmin(ServiceAdmin):
    form = PersonForm
    list_display = ["name", "email", "chat_handle", "department", "employment", "is_staff"]
    list_filter = ["employment", "groups"]
    search_fields = ["name", "email", "chat_handle", "department"]
    autocomplete_fields = ["manager"]
    ordering = ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*ON_THEIR_PAGE, "email"] if obj else []

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        by = signed_in(request)
        groups = given.pop("groups", None)
        employment = {key: given.pop(key) for key in ("employment", "last_day") if key in given}
        if change:
            person = services.update_person(person_id=obj.pk, by=by, **given)
        else:
            person = services.create_person(by=by, **given)
        if employment:
            services.set_employment(
                person_id=person.pk,
                by=by,
                employment=employment.get("employment", person.employment),
                last_day=employment.get("last_day", person.last_day),
            )
        if groups is not None:
            return services.set_groups(person_id=person.pk, groups=groups, by=by)
        return person


class ResourceInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Resource
    extra = 0
    fields = ["name", "match", "tier", "categories"]


class AgreementInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Agreement
    extra = 0
    fields = ["kind", "reference", "signed_on", "expires_on"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(System)
class SystemAdmin(ServiceAdmin):
    list_display = ["slug", "name", "tier", "environment", "trust", "owner"]
    list_filter = ["tier", "environment", "trust"]
    search_fields = ["slug", "name"]
    autocomplete_fields = ["owner"]
    inlines = [ResourceInline, AgreementInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those whose group may, and the owner of the very system."""
        if obj is not None:
            return not permissions.can(permissions.check_can_change_system, obj, signed_in(request))
        return bool(super().has_change_permission(request, obj))

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        given.pop("slug", None)
        return services.save_system(slug=obj.slug, by=signed_in(request), **given)

    def write_inline(self, request: HttpRequest, obj: Any, formset: Any) -> None:
        by = signed_in(request)
        for form in formset.forms:
            if not form.has_changed():
                continue
            given = form.cleaned_data
            given.pop("system", None)
            row, removed = given.pop("id", None), given.pop("DELETE", False)
            if formset.model is Agreement:
                services.add_agreement(system_id=obj.pk, by=by, **given)
            elif removed and row:
                services.remove_resource(resource_id=row.pk, by=by)
            else:
                _propose_notice(
                    request, services.save_resource(system_id=obj.pk, by=by, **given).proposed
                )


def _propose_notice(request: HttpRequest, proposed: Any) -> None:
    for each in proposed:
        messages.warning(request, f"Waits for a second person: {each.summary}")


class AccessInline(admin.TabularInline):  # type: ignore[type-arg]
    model = ToolAccess
    extra = 0
    fields = ["system", "resource", "direction"]


@admin.register(Tool)
class ToolAdmin(ServiceAdmin):
    list_display = ["name", "title", "system", "effect", "version"]
    list_filter = ["effect", "system"]
    search_fields = ["name", "title", "system__slug"]
    inlines = [AccessInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name", "version"] if obj else ["version"]

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        given.pop("name", None)
        return services.save_tool(name=obj.name, by=signed_in(request), **given)

    def write_inline(self, request: HttpRequest, obj: Any, formset: Any) -> None:
        accesses: list[services.AccessFields] = [
            {
                "system": form.cleaned_data["system"],
                "resource": form.cleaned_data["resource"],
                "direction": form.cleaned_data["direction"],
            }
            for form in formset.forms
            if form.cleaned_data and not form.cleaned_data.get("DELETE")
        ]
        saved = services.save_tool(name=obj.name, by=signed_in(request), accesses=accesses)
        _propose_notice(request, saved.proposed)


@admin.register(ResourceType)
class ResourceTypeAdmin(ServiceAdmin):
    list_display = ["slug"]
    search_fields = ["slug"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        return services.save_resource_type(
            slug=obj.slug, attributes=obj.attributes, by=signed_in(request)
        )


@admin.register(Gateway)
class GatewayAdmin(ServiceAdmin):
    list_display = ["slug", "name", "source", "is_active"]
    search_fields = ["slug", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def write(self, request: HttpRequest, obj: Any, given: dict[str, Any], *, change: bool) -> Any:
        given.pop("slug", None)
        return services.save_gateway(slug=obj.slug, by=signed_in(request), **given)


class Acting(admin.ModelAdmin):  # type: ignore[type-arg]
    """What one does with an object are POST forms on its page: word in the address to method."""

    acts: dict[str, str] = {}

    def get_urls(self) -> list[URLPattern]:
        model = self.model._meta
        own = [
            path(
                f"<path:pk>/{act}/",
                self.admin_site.admin_view(self._posted(method)),
                name=f"{model.app_label}_{model.model_name}_{act}",
            )
            for act, method in self.acts.items()
        ]
        return [*own, *super().get_urls()]

    def _posted(self, method: str) -> Callable[..., HttpResponse]:
        @require_POST
        def view(request: HttpRequest, pk: str) -> HttpResponse:
            obj = self.get_object(request, unquote(pk))
            if obj is None:
                raise Http404
            try:
                messages.success(request, getattr(self, method)(request, obj))
            except GovernanceError as error:
                messages.error(request, error.message)
            model = self.model._meta
            name = f"admin:{model.app_label}_{model.model_name}_change"
            return HttpResponseRedirect(reverse(name, args=[obj.pk]))

        return view


class LookedAt(Acting):
    """A model that is only looked at here, and acted on."""

    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ListWithTiers(ChangeList):
    """A page of agents with their tiers; the catalogue is read once for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = reaches_of(self.result_list)
        for agent, reach in found:
            agent.tier_now = str(reach.tier)  # type: ignore[attr-defined]
        self.result_list = [agent for agent, _ in found]


@admin.register(Agent)
class AgentAdmin(LookedAt):
    """The queue of agents that ask to go live, and every other agent to look at and stop."""

    list_display = ["slug", "state", "tier", "owner", "kind", "state_changed_at"]
    list_filter = ["state", "kind", "pattern"]
    search_fields = ["slug", "purpose", "owner__name"]
    ordering = ["-state_changed_at"]
    change_form_template = "admin/registry/agent/review.html"
    acts = {"approve": "approve", "send-back": "send_back", "suspend": "suspend"}

    @admin.display(description="tier")
    def tier(self, agent: Agent) -> str:
        """Computed from the reach by the list."""
        return str(getattr(agent, "tier_now", ""))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ListWithTiers

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related("owner", "model_provider")
        return rows.prefetch_related(*PREFETCH)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        agent = self.get_object(request, unquote(object_id))
        return super().change_view(
            request, object_id, form_url, {**(extra_context or {}), **self._review(request, agent)}
        )

    def _review(self, request: HttpRequest, agent: Agent | None) -> dict[str, Any]:
        if agent is None:
            return {}
        reach = reach_of(agent)
        by = signed_in(request)
        picture: Picture = picture_of(agent.slug, reach)
        return {
            "agent": agent,
            "reach": reach,
            "picture": picture,
            "entries": agent.allowlist.select_related("tool__system"),
            "roles": agent.roles.all(),
            "why_not_approve": permissions.can(
                permissions.check_can_activate_agent, agent, reach, by
            )
            or _not_in_review(agent),
            "why_not_suspend": permissions.can(permissions.check_can_suspend_agent, agent, by),
        }

    def approve(self, request: HttpRequest, agent: Agent) -> str:
        """Security's signature on exactly the reach that was shown."""
        digest = request.POST.get("reach_digest", "")
        signed = services.approve_agent(
            agent_id=agent.pk, by=signed_in(request), reach_digest=digest
        )
        if signed.state != AgentState.ACTIVE:
            return f"Signed as security. {agent.slug} is live when everyone has signed."
        return f"{agent.slug} is live. Its owner gives it a secret on its page."

    def send_back(self, request: HttpRequest, agent: Agent) -> str:
        """Back to its owner as a draft, with a reason."""
        services.send_back_agent(
            agent_id=agent.pk, by=signed_in(request), reason=request.POST.get("reason", "")
        )
        return f"{agent.slug} is a draft again. Its owner sees your reason."

    def suspend(self, request: HttpRequest, agent: Agent) -> str:
        """The kill switch."""
        services.suspend_agent(
            agent_id=agent.pk, by=signed_in(request), reason=request.POST.get("reason", "")
        )
        return f"{agent.slug} is suspended. Every call is denied from now on."


def _not_in_review(agent: Agent) -> str:
    if agent.state == AgentState.IN_REVIEW:
        return ""
    return f"{agent.slug} is {agent.get_state_display()}, so there is nothing to sign."


@admin.register(ProposedChange)
class ProposedChangeAdmin(LookedAt):
    """Widening changes that wait for a second person."""

    list_display = ["summary", "kind", "proposed_by", "proposed_at", "state"]
    list_filter = ["state", "kind"]
    search_fields = ["summary", "target"]
    change_form_template = "admin/registry/proposedchange/decide.html"
    acts = {"agree": "agree", "reject": "reject", "withdraw": "withdraw"}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        change = self.get_object(request, unquote(object_id))
        more: dict[str, Any] = {}
        if change:
            keys = sorted({*change.before, *change.after})
            more = {
                # `change` is a word of the admin itself.
                "proposed": change,
                "differences": [
                    (key, change.before.get(key), change.after.get(key)) for key in keys
                ],
                "why_not_agree": changes.can_agree(change, signed_in(request)),
                "own": change.proposed_by_id == signed_in(request).pk,
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def agree(self, request: HttpRequest, change: ProposedChange) -> str:
        """The second person's yes: it takes effect now."""
        answer = request.POST.get("answer", "")
        changes.agree(change_id=change.pk, by=signed_in(request), answer=answer)
        return "Agreed. It is in effect from now on."

    def reject(self, request: HttpRequest, change: ProposedChange) -> str:
        """The second person's no."""
        answer = request.POST.get("answer", "")
        changes.reject(change_id=change.pk, by=signed_in(request), answer=answer)
        return "Rejected. Nothing was changed."

    def withdraw(self, request: HttpRequest, change: ProposedChange) -> str:
        """The proposer takes it back."""
        changes.withdraw(change_id=change.pk, by=signed_in(request))
        return "Taken back. Nothing was changed."


@admin.register(UnregisteredCaller)
class UnregisteredCallerAdmin(LookedAt):
    list_display = ["claimed", "source", "gateway", "first_seen", "last_seen", "count", "state"]
    list_filter = ["state"]
    search_fields = ["claimed", "source"]


@admin.register(Client)
class ClientAdmin(LookedAt):
    """Which agents and gateways can prove themselves. Never a secret: none is stored."""

    list_display = ["client_id", "agent", "gateway", "version", "created_at", "rotated_at"]
    search_fields = ["client_id", "agent__slug", "gateway__slug"]
    exclude = ["secret_digest"]


@admin.register(Clearance)
class ClearanceAdmin(LookedAt):
    list_display = ["agent", "basis", "tier", "by", "at"]
    list_filter = ["basis", "tier"]
    search_fields = ["agent__slug", "by__name"]
