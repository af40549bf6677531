"""Forms of emergency access."""

from __future__ import annotations

from django import forms


def _secret(label: str, help_text: str = "", required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=required,
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )


CODE = "From your app, or a recovery code, where you set one up here."


class OpenForm(forms.Form):
    """Who needs it, why, and a sealed code or a second person."""

    email = forms.EmailField(label="Your e-mail address", max_length=254)
    password = _secret("Your password")
    factor = forms.CharField(
        label="Your code", required=False, max_length=20, help_text=CODE, initial=""
    )
    reason = forms.CharField(
        label="Why",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="A sentence. It goes to everyone who is paged, and is what is reviewed.",
    )
    sealed = forms.CharField(
        label="Sealed code",
        required=False,
        max_length=60,
        help_text="Thirty letters and digits from the safe. Or a second person, below.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    second_email = forms.EmailField(
        label="E-mail address of the second person", required=False, max_length=254
    )
    second_password = _secret("Their password", required=False)
    second_factor = forms.CharField(label="Their code", required=False, max_length=20)


class SealForm(forms.Form):
    """The second person agrees beside the first."""

    count = forms.IntegerField(label="How many codes", min_value=1, max_value=10, initial=4)
    second_email = forms.EmailField(label="E-mail address of the second person", max_length=254)
    second_password = _secret("Their password")
    second_factor = forms.CharField(
        label="Their code", required=False, max_length=20, help_text=CODE
    )


class CloseForm(forms.Form):
    review = forms.CharField(
        label="What you found",
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Was it needed? Was what was done right? What must change?",
    )
