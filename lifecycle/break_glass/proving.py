"""How someone proves who they are where no identity provider can: password, and their code."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from lifecycle.break_glass.errors import NotProved
from registry.models import Person

WITH_A_CODE = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)


def prove(request: HttpRequest, *, email: str, password: str, code: str) -> Person:
    """Who this is. Raises `NotProved`; what fails is counted and recorded as at any sign-in."""
    try:
        person = get_adapter(request).authenticate(request, email=email, password=password)
    except ValidationError as error:
        raise NotProved(" ".join(error.messages)) from error
    if not isinstance(person, Person) or not person.may_act or not has_code(person, code):
        raise NotProved()
    return person


def has_password(email: str, password: str, code: str) -> Person:
    """The same for a command at the machine itself, where nothing is counted."""
    person = Person.objects.filter(email__iexact=email).first()
    if person is None or not person.may_act or not person.check_password(password):
        raise NotProved()
    if not has_code(person, code):
        raise NotProved()
    return person


def has_code(person: Person, code: str) -> bool:
    """Whether the code is right, of whoever set up a second factor here."""
    if not is_mfa_enabled(person):
        return True
    found = Authenticator.objects.filter(user=person, type__in=WITH_A_CODE)
    return any(each.wrap().validate_code(code.strip()) for each in found)
