"""The form of a template: a name, a purpose, and what the template lets its owner choose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django import forms

from lifecycle.forms import AgentForm
from lifecycle.models import FromTemplate, Template
from lifecycle.templates import selectors
from lifecycle.templates.content import ASKED, Slot
from lifecycle.templates.plan import Plan
from registry.models import Agent, Person, System
from registry.selectors import tools_for_reach

PREFIX = "slot_"
SOMETHING_ELSE = "something-else"
# What the template says, so that the form does not ask.
FIXED = ("tools", "roles", "kind", "pattern", "isolated_runs")
MORE = (
    *("backup_owner", "rate_per_minute", "rate_per_hour", "spend_cap", "spend_cap_month"),
    *("model", "model_provider", "builder", "repository", "runs_at", "prompt_digest"),
    *("code_reference", "relying_people", "relying_agents"),
)


class TemplateForm(AgentForm):
    """At most eight fields; everything else has a good default behind "more"."""

    def __init__(
        self,
        *args: Any,
        owner: Person,
        template: Template,
        origin: FromTemplate | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, owner=owner, **kwargs)
        self.template = template
        self.content = selectors.content_of(template)
        granting = selectors.granting()
        for name in FIXED:
            del self.fields[name]
        self._set_defaults()
        tools = list(tools_for_reach())
        self.fitting = {
            slot.name: selectors.fitting(slot, owner, tools, granting)
            for slot in self.content.slots
        }
        for slot in self.content.slots:
            self._add(slot, (origin.choices if origin else None) or {})

    def _set_defaults(self) -> None:
        for name in ("rate_per_minute", "rate_per_hour", "spend_cap"):
            self.fields[name].required = False
        if self.instance.pk:
            return
        limits = self.content.limits
        money = {name: limits[f"{name}_minor"] for name in ("spend_cap", "spend_cap_month")}
        usual: dict[str, Any] = {
            "purpose": self.content.purpose,
            **{name: limits[name] for name in ("rate_per_minute", "rate_per_hour")},
            **{name: None if cap is None else f"{cap / 100:.2f}" for name, cap in money.items()},
        }
        for name, value in usual.items():
            self.initial[name] = self.initial.get(name) or value

    def _add(self, slot: Slot, chosen: Mapping[str, Any]) -> None:
        usable = [each.tool.name for each in self.fitting[slot.name] if not each.refusal]
        name = PREFIX + slot.name
        field: forms.Field = forms.MultipleChoiceField(
            label=slot.label,
            help_text=slot.help,
            required=False,
            choices=[(each, each) for each in usable],
            widget=forms.CheckboxSelectMultiple,
        )
        only = usable if len(usable) == 1 and slot.least else []
        self.fields[name] = field
        self.initial.setdefault(name, chosen.get(slot.name) or only)
        if slot.to == ASKED:
            self.fields[PREFIX + slot.place] = forms.CharField(
                label=slot.to_label, required=False, max_length=200
            )
            self.initial.setdefault(PREFIX + slot.place, chosen.get(slot.place, ""))

    @property
    def asked(self) -> list[str]:
        """The fields that stand open, in their order."""
        slots = [name for name in self.fields if name.startswith(PREFIX)]
        return ["slug", "purpose", *slots]

    def choices(self) -> dict[str, Any]:
        """What is chosen so far, whether or not the rest of the form is right."""
        found: dict[str, Any] = {}
        for slot in self.content.slots:
            found[slot.name] = [str(name) for name in self._given(PREFIX + slot.name) or []]
            if slot.to == ASKED:
                found[slot.place] = str(self._given(PREFIX + slot.place) or "").strip()[:200]
        return found

    def _given(self, name: str) -> Any:
        if not self.is_bound:
            return self.initial.get(name)
        widget = self.fields[name].widget
        return widget.value_from_datadict(self.data, self.files, self.add_prefix(name))

    def clean(self) -> dict[str, Any]:
        """Tell every choice that does not fit at once, beside the choice."""
        cleaned = super().clean() or self.cleaned_data
        for name, sentences in self.plan().wrong.items():
            if PREFIX + name not in self.errors:
                self.add_error(PREFIX + name, list(sentences))
        return dict(cleaned)

    def plan(self) -> Plan:
        """The row that follows from what is chosen so far."""
        return selectors.planned(self.template, self.choices(), self.owner)

    def slots(self) -> list[dict[str, Any]]:
        """Each slot with its tools under their systems, for the page."""
        choices = self.choices()
        return [
            {
                "slot": slot,
                "field": self[PREFIX + slot.name],
                "place": self[PREFIX + slot.place] if slot.to == ASKED else None,
                "suggested": _suggested(slot, self.fitting[slot.name]),
                "single": slot.most == 1,
                "systems": _by_system(self.fitting[slot.name], set(choices[slot.name])),
            }
            for slot in self.content.slots
        ]

    def facts(self) -> dict[str, Any]:
        """What the owner said beyond the template, in the units of the register."""
        said = {
            name: self.cleaned_data[name]
            for name in self.Meta.fields
            if name in self.fields and name != "slug"
        }
        for name in ("spend_cap", "spend_cap_month"):
            cap = self.cleaned_data[name]
            said[f"{name}_minor"] = None if cap is None else int(cap * 100)
        return {
            name: value
            for name, value in said.items()
            if value is not None or name not in self.content.limits
        }


def _by_system(fitting: list[selectors.Fitting], ticked: set[str]) -> list[dict[str, Any]]:
    grouped: dict[System, list[dict[str, Any]]] = defaultdict(list)
    for each in fitting:
        grouped[each.tool.system].append({"fit": each, "ticked": each.tool.name in ticked})
    return [{"system": system, "tools": tools} for system, tools in grouped.items()]


def _suggested(slot: Slot, fitting: list[selectors.Fitting]) -> list[str]:
    """Places that the tools of a slot are known to write to."""
    if slot.to != ASKED:
        return []
    found: set[str] = set()
    for each in fitting:
        rule = each.tool.schema.get("properties", {}).get(each.tool.recipient_parameter, {})
        listed = rule.get("enum", []) if isinstance(rule, dict) else []
        found |= {value for value in listed if isinstance(value, str)}
        found |= {
            resource.name
            for resource in each.tool.system.resources.all()
            if resource.match == "exact"
        }
    return sorted(found)[:50]


def form_for(
    template: Template | None, *args: Any, owner: Person, agent: Agent | None = None, **more: Any
) -> AgentForm:
    """The form of a template, or of something else."""
    given = {"instance": agent, **more} if agent else more
    if template is None:
        return AgentForm(*args, owner=owner, **given)
    origin = selectors.origin_of(agent) if agent else None
    return TemplateForm(*args, owner=owner, template=template, origin=origin, **given)
