"""The form of the simulator."""

from __future__ import annotations

from typing import Any

from django import forms

from audit.forms import InstantField
from authz.asks import Ask
from authz.engine.types import SubjectKind
from authz.forms.previews import object_in
from authz.permissions import SIMULATORS
from authz.wire import MAX_NAME_BYTES, MAX_SESSION
from registry.models import Agent, Gateway, Person, Tool
from registry.permissions import in_group

MAX_PARAMETERS = 256 * 1024
_KINDS = [
    (SubjectKind.AGENT.value, "an agent, for itself or for someone"),
    (SubjectKind.PERSON.value, "a person alone"),
]


class SimulatorForm(forms.Form):
    """A request that nobody has made."""

    kind = forms.ChoiceField(label="Who acts", choices=_KINDS, initial=SubjectKind.AGENT.value)
    agent = forms.ChoiceField(label="Agent", required=False)
    person = forms.ChoiceField(
        label="Person", required=False, help_text="Who acts alone, or whom the agent acts for."
    )
    tool = forms.ChoiceField(label="Tool")
    parameters = forms.CharField(
        label="Parameters",
        required=False,
        max_length=MAX_PARAMETERS,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "mono"}),
        help_text="A JSON object. An example comes with the tool.",
    )
    resource_type = forms.CharField(
        label="Kind of resource", required=False, max_length=MAX_NAME_BYTES
    )
    resource_id = forms.CharField(label="Resource", required=False, max_length=MAX_NAME_BYTES)
    session = forms.CharField(label="Session", required=False, max_length=MAX_SESSION)
    prompt_digest = forms.CharField(
        label="Digest of its prompt", required=False, max_length=MAX_SESSION
    )
    code_reference = forms.CharField(
        label="Version of its code", required=False, max_length=MAX_SESSION
    )
    at = InstantField(
        label="At",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        help_text="In your zone. Empty is now.",
    )
    gateway = forms.ChoiceField(label="Asked by", required=False)

    def __init__(self, *args: Any, by: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        anyone = in_group(by, *SIMULATORS)
        agents = Agent.objects.visible_to(by).order_by("slug")
        if not anyone:
            agents = agents.filter(owner=by) | agents.filter(backup_owner=by)
        self._choose("agent", [(slug, slug) for slug in agents.values_list("slug", flat=True)])
        people = Person.objects.visible_to(by).order_by("name", "pk")
        self._choose("person", [(one.pid, str(one)) for one in people], none="nobody")
        self._choose("tool", [(name, name) for name in _names(Tool.objects, "name")])
        gateways = _names(Gateway.objects, "slug") if anyone else []
        own = "the agent itself" if not anyone else "the agent itself, or nobody"
        self._choose("gateway", [(slug, slug) for slug in gateways], none=own)

    def _choose(self, field: str, choices: list[tuple[str, str]], none: str = "choose") -> None:
        bound = self.fields[field]
        assert isinstance(bound, forms.ChoiceField)  # noqa: S101 (declared so above)
        bound.choices = [("", none), *choices]

    def clean_parameters(self) -> dict[str, Any]:
        return object_in(self.cleaned_data["parameters"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        needed = "agent" if cleaned.get("kind") == SubjectKind.AGENT.value else "person"
        if needed in cleaned and not cleaned[needed]:
            self.add_error(needed, f"Choose the {needed} who acts.")
        return cleaned

    def ask(self) -> Ask:
        """The request; only for a valid form."""
        cleaned = self.cleaned_data
        kind = SubjectKind(cleaned["kind"])
        is_agent = kind is SubjectKind.AGENT
        acting = (
            {"agent": cleaned["agent"], "user": cleaned["person"]}
            if is_agent
            else {"person": cleaned["person"]}
        )
        same = ("tool", "parameters", "resource_type", "resource_id", "session")
        more = {name: cleaned[name] for name in (*same, "prompt_digest", "code_reference")}
        return Ask(kind=kind, subject_type="agent" if is_agent else "user", **acting, **more)

    def body(self) -> dict[str, Any]:
        """The same as the body of an evaluation request."""
        cleaned = self.cleaned_data
        is_agent = cleaned["kind"] == SubjectKind.AGENT.value
        subject = (
            {"type": "agent", "id": cleaned["agent"]}
            if is_agent
            else {"type": "user", "id": cleaned["person"]}
        )
        context = {
            name: cleaned[name]
            for name in ("session", "prompt_digest", "code_reference")
            if cleaned[name]
        }
        if is_agent and cleaned["person"]:
            context["user"] = cleaned["person"]
        return {
            "subject": subject,
            "action": {"name": cleaned["tool"], "properties": cleaned["parameters"]},
            # A request must name a resource: the tool itself where no other is meant.
            "resource": {
                "type": cleaned["resource_type"] or "tool",
                "id": cleaned["resource_id"] or cleaned["tool"],
            },
            **({"context": context} if context else {}),
        }


def _names(rows: Any, field: str) -> list[str]:
    return list(rows.order_by(field).values_list(field, flat=True))
