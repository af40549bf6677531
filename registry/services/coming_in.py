"""Who someone is that an identity provider vouches for.

A provider is a source of people like any other (`joining` has the rule), but for two things: only
an address that it verified counts, and it takes up nobody unless the operator lets it.
"""

from __future__ import annotations

from django.db import transaction

from registry.models import Person, Way
from registry.oidc.errors import SignInRefused
from registry.oidc.tokens import Claims
from registry.permissions import Automatic
from registry.services import joining
from registry.services.claimed_groups import follow_claims
from registry.services.joining import Facts

BY = Automatic("sign_in")


@transaction.atomic
def let_in(claims: Claims) -> Person:
    """The person whom these claims are of, who may come in. Raises `SignInRefused`.

    Where the provider tells of no groups at all, what it gave before stays.
    """
    person = _meet(claims)
    if not person.may_act:
        raise SignInRefused(
            "You have left, or were switched off here. Ask security or a platform admin."
        )
    source, groups = claims.provider.source, claims.groups
    if groups is not None:
        follow_claims(person_id=person.pk, source=source, way=Way.SIGN_IN, claims=groups, by=BY)
    return Person.objects.get(pk=person.pk)


def known(claims: Claims) -> Person | None:
    """Whom the provider has sent before under this id."""
    return joining.person_of(claims.provider.source, claims.subject)


def _meet(claims: Claims) -> Person:
    """By the rule of every source of people. Raises `SignInRefused` where that is nobody."""
    source, external_id, facts = claims.provider.source, claims.subject, _facts(claims)
    met = joining.meet_person(source=source, external_id=external_id, facts=facts, by=BY)
    if met is not None:
        return met.person
    if why := _why_nobody(claims):
        raise SignInRefused(why)
    return joining.take_up(source=source, external_id=external_id, facts=facts, by=BY).person


def _facts(claims: Claims) -> Facts:
    """What may be believed of someone whom the provider's id does not name yet."""
    if not claims.email_is_verified:
        return Facts(name=claims.name)
    return Facts(email=claims.email, name=claims.name or claims.email.partition("@")[0])


def _why_nobody(claims: Claims) -> str:
    """Why someone whom nobody recognises is not taken up; empty where they are."""
    name = claims.provider.name
    if not claims.email or not claims.email_is_verified:
        return (
            f"{name} did not say that your e-mail address is verified, so nobody here is known by "
            "it. Ask security or a platform admin to add you."
        )
    holder = Person.objects.filter(email__iexact=claims.email).first()
    if holder is not None:
        return _why_not_theirs(holder, name)
    if claims.provider.create_people:
        return ""
    return "You are not on the register yet. Ask security or a platform admin to add you."


def _why_not_theirs(holder: Person, name: str) -> str:
    if holder.is_employed:
        return (
            f"Your address belongs to another account of {name}. Ask security or a platform admin."
        )
    return (
        "Your address belonged to someone who has left. Ask security or a platform admin to put "
        "you on the register."
    )
