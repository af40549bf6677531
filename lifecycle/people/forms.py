"""Forms about people."""

from __future__ import annotations

from typing import Any

from django import forms

from lifecycle.people import reading
from lifecycle.people.selectors import today_in
from lifecycle.scim.forms import NetworksForm
from registry import validators
from registry.enums import Employment, GroupName
from registry.models import ExternalIdentity, Person

_ANY = [("", "any")]


class PeopleFilter(forms.Form):
    """Whom the list shows."""

    q = forms.CharField(label="Name or e-mail", required=False, max_length=100)
    employment = forms.ChoiceField(
        label="Employment", required=False, choices=[*_ANY, *Employment.choices]
    )
    department = forms.CharField(label="Department", required=False, max_length=100)
    source = forms.ChoiceField(label="Known from", required=False)
    group = forms.ChoiceField(label="Group", required=False, choices=[*_ANY, *GroupName.choices])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = ExternalIdentity.objects.order_by("source").values_list("source", flat=True)
        field = self.fields["source"]
        if isinstance(field, forms.ChoiceField):
            known = [(name, name) for name in names.distinct()]
            field.choices = [*_ANY, ("by-hand", "entered by hand"), *known]


class LeavingForm(forms.Form):
    """When someone leaves."""

    last_day = forms.DateField(label="Last day", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person

    def clean_last_day(self) -> Any:
        """A day to come, where they are; for a day that is over they have left."""
        day = self.cleaned_data["last_day"]
        if day < today_in(self.person.zone):
            raise forms.ValidationError("That day is over: say that they have left.")
        return day


class LeftForm(forms.Form):
    """That someone has left; the day is today unless another is said."""

    last_day = forms.DateField(
        label="Last day", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def clean_last_day(self) -> Any:
        day = self.cleaned_data["last_day"]
        if day and day > today_in("UTC"):
            raise forms.ValidationError("That day is to come: say that they are leaving.")
        return day


class BackForm(forms.Form):
    """Nothing is asked: they are back."""

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class DetailsForm(forms.Form):
    """Where someone works and to whom they report; what a source gives is only shown."""

    manager = forms.EmailField(label="E-mail of the manager", required=False)
    department = forms.CharField(
        label="Department", required=False, max_length=100, validators=[validators.plain_text]
    )
    zone = forms.CharField(label="Time zone", max_length=50, validators=[validators.zone])
    calendar = forms.CharField(
        label="Holidays",
        required=False,
        max_length=10,
        validators=[validators.calendar],
        help_text="DK, DE-BY. Empty means the installation's.",
    )

    def __init__(self, *args: Any, given: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, source in given.items():
            if name in self.fields:
                self.fields[name].disabled = True
                self.fields[name].help_text = f"{source} says this. Change it there."

    def clean_manager(self) -> Person | None:
        email = self.cleaned_data["manager"]
        if not email:
            return None
        found = Person.objects.filter(email__iexact=email).exclude(employment=Employment.LEFT)
        if (person := found.first()) is None:
            raise forms.ValidationError("Nobody who works here has this address.")
        return person


class UploadForm(forms.Form):
    """A file of people, and what it is called as a source."""

    file = forms.FileField(
        label="The file", help_text="CSV in UTF-8: commas, semicolons or tabs. At most 5 MiB."
    )
    source = forms.CharField(
        label="It comes from",
        initial="hr-file",
        max_length=60,
        validators=[validators.slug],
        help_text="The name of the source. Files of one source know people by the same ids.",
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if (file.size or 0) > reading.MAX_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {reading.MAX_BYTES // 1024**2} MiB. Split it."
            )
        return file


class WebhookForm(NetworksForm):
    """An HR system that tells Muster by itself."""

    title = forms.CharField(label="Which system is it?", max_length=100)
    slug = forms.CharField(
        label="Its name in addresses and records",
        max_length=60,
        validators=[validators.slug],
        help_text="Such as workday.",
    )
    silent_days = forms.IntegerField(
        label="Call it silent after",
        min_value=1,
        max_value=366,
        initial=7,
        help_text="Platform admins are told once when it has said nothing for so many days.",
    )
    field_order = ["title", "slug", "silent_days", "networks"]
