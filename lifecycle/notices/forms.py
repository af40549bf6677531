"""Forms about notices."""

from __future__ import annotations

from typing import Any

from django import forms

from lifecycle.models import Wishes
from registry.models import Person


class ChannelForm(forms.Form):
    """A further way to a person."""

    name = forms.CharField(max_length=60, help_text="So that you know it again: work phone")
    address = forms.CharField(
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Begins with slack://, tgram://, pagerduty:// … It is sealed, and never shown.",
    )
    infos = forms.BooleanField(required=False, label="Infos as well as pages")

    def __init__(self, *args: Any, administers: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if administers:
            self.fields["person"] = forms.ModelChoiceField(
                Person.objects.filter(is_active=True).order_by("name"),
                required=False,
                empty_label="myself",
                label="For",
            )


class WishesForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    """When infos may come."""

    class Meta:
        model = Wishes
        fields = ["info_by_mail", "digest", "digest_at", "quiet_from", "quiet_until"]
        widgets = {
            name: forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
            for name in ("digest_at", "quiet_from", "quiet_until")
        }
        labels = {"digest": "Gather infos", "info_by_mail": "Infos by mail as well"}
