"""What a person says about scopes that nobody used."""

from __future__ import annotations

from collections.abc import Sequence

from django import forms

from lifecycle.rotation.selectors import Scope


class ScopeForm(forms.Form):
    """Narrow is the default answer: what is unused is ticked."""

    narrow = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Take away"
    )
    reason = forms.CharField(
        required=False,
        max_length=300,
        label="Why the rest stays",
        help_text="Needed for what you leave unticked. It is asked again after the same time.",
    )

    def __init__(self, scopes: Sequence[Scope], data: object = None) -> None:
        self.unused = [each for each in scopes if each.to_narrow]
        names = [each.name for each in self.unused]
        super().__init__(data, initial={"narrow": names})  # type: ignore[arg-type]
        field = self.fields["narrow"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - as declared above
        field.choices = [(name, name) for name in names]

    @property
    def kept(self) -> list[str]:
        """What was left unticked."""
        ticked = set(self.cleaned_data["narrow"])
        return [each.name for each in self.unused if each.name not in ticked]
