"""Forms about logs and about calls without a decision."""

from __future__ import annotations

from typing import Any

from django import forms

from lifecycle.bypass.reading import MAX_BYTES
from lifecycle.models import ToolLog
from lifecycle.models.bypass import CallState

STATES = [(each.value, each.label) for each in (CallState.OPEN, CallState.EXPLAINED)] + [
    (CallState.CONFIRMED.value, CallState.CONFIRMED.label)
]


class CallFilter(forms.Form):
    """Which calls."""

    agent = forms.CharField(label="Agent", required=False, max_length=60)
    tool = forms.CharField(label="Tool", required=False, max_length=255)
    state = forms.ChoiceField(label="Answer", required=False, choices=[("", "any"), *STATES])


class ConfirmForm(forms.Form):
    until = forms.IntegerField(widget=forms.HiddenInput)
    answer = forms.CharField(label="What was done about it", max_length=500, required=False)


class ExplainForm(forms.Form):
    until = forms.IntegerField(widget=forms.HiddenInput)
    answer = forms.CharField(label="Why they did not have to be asked", max_length=500)


class FileForm(forms.Form):
    """A file of a log."""

    file = forms.FileField(label="The file", help_text="CSV, or one JSON object a line (JSONL).")

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {MAX_BYTES // 1024**2} MiB. Split it."
            )
        return file


def _pairs(text: str) -> dict[str, str]:
    """`left = right` on each line; the last equals sign counts, for names that hold one."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        left, sign, right = line.rpartition("=")
        if not sign or not left.strip():
            raise forms.ValidationError(f"Line {number} is no pair. Write left = right.")
        found[left.strip()] = right.strip()
    return found


def _lines(pairs: dict[str, str]) -> str:
    return "\n".join(f"{left} = {right}".rstrip() for left, right in pairs.items())


class LogForm(forms.Form):
    """How a system's log is read."""

    at = forms.CharField(label="Time", max_length=255, help_text="A column, or a path (actor.id).")
    agent = forms.CharField(label="Account that acted", max_length=255)
    action = forms.CharField(label="Action", max_length=255)
    resource = forms.CharField(label="Resource", max_length=255, required=False)
    id = forms.CharField(
        label="Id of the line",
        max_length=255,
        required=False,
        help_text="Without one, a digest of the line stands in for it.",
    )
    actions = forms.CharField(
        label="Tools of actions",
        required=False,
        max_length=60_000,
        widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false"}),
        help_text="action = tool, one a line. Nothing after = : it is no call of a tool.",
    )
    identities = forms.CharField(
        label="Agents of accounts",
        required=False,
        max_length=60_000,
        widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false"}),
        help_text="account = agent. Client ids, references of credentials and agents' names are "
        "known by themselves.",
    )
    zone = forms.CharField(label="Time zone, where a time says none", max_length=50, required=False)
    window_seconds = forms.IntegerField(
        label="Seconds from a decision to its call", min_value=1, max_value=86_400, initial=300
    )
    ahead_seconds = forms.IntegerField(
        label="Seconds that its clock may be behind", min_value=0, max_value=600, initial=5
    )

    def clean_actions(self) -> dict[str, str]:
        return _pairs(self.cleaned_data["actions"])

    def clean_identities(self) -> dict[str, str]:
        return _pairs(self.cleaned_data["identities"])

    def said(self) -> dict[str, Any]:
        """What the form says, as the service takes it."""
        data = dict(self.cleaned_data)
        names = ("at", "agent", "action", "resource", "id")
        return {"columns": {name: data.pop(name) for name in names}, **data}


def initial_of(log: ToolLog | None) -> dict[str, Any]:
    """What stands in the form of a log that is set already."""
    if log is None:
        return {}
    told = {"zone": log.zone, "window_seconds": log.window_seconds}
    return {
        **log.columns,
        **told,
        "ahead_seconds": log.ahead_seconds,
        "actions": _lines(log.actions),
        "identities": _lines(log.identities),
    }
