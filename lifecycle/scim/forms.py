"""What a platform admin says of a directory, and how one looks into the log."""

from __future__ import annotations

from django import forms

from lifecycle.models import Source
from registry import validators


class NetworksForm(forms.Form):
    """From where a directory may ask."""

    networks = forms.CharField(
        label="Only from these networks",
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"}),
        help_text="One a line, such as 10.20.0.0/16. Empty means from everywhere.",
    )

    def lines(self) -> list[str]:
        """The networks, as they were written."""
        return str(self.cleaned_data["networks"]).splitlines()


class DirectoryForm(NetworksForm):
    """Another directory."""

    title = forms.CharField(label="What is it called?", max_length=100)
    slug = forms.CharField(
        label="Short name",
        max_length=60,
        validators=[validators.slug],
        help_text="Stays for good: it stands with every id that the directory gives. okta, entra",
    )
    field_order = ["title", "slug", "networks"]


class LogForm(forms.Form):
    """Which lines of the log are wanted."""

    source = forms.ChoiceField(label="Source", required=False)
    outcome = forms.ChoiceField(
        label="Outcome",
        required=False,
        choices=[("", "every"), ("done", "done"), ("refused", "refused")],
    )
    did = forms.CharField(label="What it did", required=False, max_length=60)
    who = forms.CharField(label="Name or address", required=False, max_length=150)

    def __init__(self, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        field = self.fields["source"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - as declared above
        slugs = Source.objects.order_by("slug").values_list("slug", flat=True)
        field.choices = [("", "every"), *((slug, slug) for slug in slugs)]
