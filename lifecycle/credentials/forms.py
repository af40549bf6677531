"""Forms about credentials. What is typed as a secret is never written back into a page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

from registry.enums import CredentialHolder
from registry.models import System
from registry.vault.types import MAX_BYTES


class WriteOnly(forms.Textarea):
    """A field that takes a value and gives none."""

    def format_value(self, value: Any) -> str:
        return ""


class SecretField(forms.CharField):
    """A secret as it was typed. Browsers send line ends of their own, which no key has."""

    def __init__(self, **given: Any) -> None:
        attributes = {"rows": 3, "class": "mono", "autocomplete": "off", "spellcheck": "false"}
        super().__init__(strip=False, widget=WriteOnly(attrs=attributes), **given)

    def clean(self, value: Any) -> str:
        secret = str(super().clean(value)).replace("\r\n", "\n")
        if len(secret.encode(errors="replace")) > MAX_BYTES:
            raise ValidationError(f"A secret has at most {MAX_BYTES} bytes.")
        return secret


class StoreForm(forms.Form):
    """A new credential."""

    reference = forms.CharField(
        label="Where it is to lie",
        max_length=255,
        help_text="Such as vault://care/refund-desk/helpdesk. The agent asks for it by this name.",
    )
    value = SecretField(
        label="Secret",
        required=False,
        help_text="It is sealed at once and never shown again, to nobody.",
    )
    generate = forms.BooleanField(
        label="Muster makes the secret: nobody sees it but the agent",
        required=False,
    )
    system = forms.ModelChoiceField(
        label="For", queryset=System.objects.all(), required=False, empty_label="no one system"
    )
    scope = forms.CharField(label="What it may do", max_length=300, required=False)
    holder = forms.ChoiceField(
        label="Whose account it is",
        choices=CredentialHolder.choices,
        initial=CredentialHolder.OWN,
        help_text="An agent does not go live with an account of a person, or one that is shared.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("value")) == bool(cleaned.get("generate")):
            self.add_error("value", "Enter a secret, or have Muster make it: one of the two.")
        return cleaned

    def secret(self) -> str | None:
        """What was typed; None where Muster is to make it."""
        return None if self.cleaned_data["generate"] else str(self.cleaned_data["value"])


class RotateForm(forms.Form):
    """Another value for a credential."""

    value = SecretField(
        label="New secret",
        required=False,
        help_text="Empty where Muster, or the vault, makes it by itself.",
    )
    overlap = forms.IntegerField(
        label="The one before stays for",
        initial=24,
        validators=[MinValueValidator(0), MaxValueValidator(24 * 30)],
    )


class WhyForm(forms.Form):
    """A sentence that everybody who looks will read."""

    reason = forms.CharField(label="Why", max_length=500)


class ConfirmForm(forms.Form):
    """Somebody's word that nothing opens with it any more."""

    reason = forms.CharField(
        label="How you know",
        max_length=500,
        help_text="Who ended it at its source, where and when.",
    )
