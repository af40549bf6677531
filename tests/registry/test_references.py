"""A field for references refuses what looks like a secret."""

import base64
import random

import pytest

from governance.kernel.errors import Conflict
from registry import references, services
from registry.errors import LooksLikeSecret
from registry.models import CredentialReference
from tests.factories.registry import make_draft

GOOD = [
    "vault://payments/refund-desk",
    "vault://payments/refund-desk/2026#token",
    "secret/data/payments/refund-desk-2",
    "kv/prod/eu-west-1/claims_reader",
    "aws-sm://eu-west-1/refund-desk",
    "vault://by-id/0b9e6c5e-6d0c-4f43-9a86-3fd2a1c7d001",
]
BAD = [
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:refund-desk-AbC3dE",
    "",
    "hunter2",
    "refund-desk",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "postgres://user:pa55word@db/prod",
    "vault://payments/" + "d41d8cd98f00b204e9800998ecf8427e",
    "-----BEGIN PRIVATE KEY-----",
    "https://x.example/?token=8f14e45fceea167a5a36dedd4bea2543",
    "vault://a b/c",
    "vault://" + "a/" * 200,
    "vault://x/\0",
    "vault:",
]


@pytest.mark.parametrize("reference", GOOD)
def test_a_path_is_a_reference(reference: str) -> None:
    assert references.wrong_with(reference) == ""


@pytest.mark.parametrize("reference", BAD)
def test_a_secret_is_none(reference: str) -> None:
    assert references.wrong_with(reference) != ""


@pytest.mark.parametrize(
    "name", ["CustomerCareRefundDeskProductionKey", "vault://care/refund-desk/helpdesk-read-2026"]
)
def test_long_names_are_no_secrets(name: str) -> None:
    assert references.wrong_with(name) != references.LOOKS_RANDOM


def test_token_without_a_digit_is_refused() -> None:
    token = "wZRQRUnonCnByjhAqOy-rXCovI_kGZWdIMqGigTxUpI"

    assert references.wrong_with(f"vault://payments/{token}") == references.LOOKS_RANDOM


def test_random_tokens_are_refused_with_and_without_a_path() -> None:
    # Seeded: what is told from a name by its looks is missed once in many thousands.
    dice = random.Random(3)
    for _ in range(200):
        raw = dice.randbytes(32)
        for token in (base64.urlsafe_b64encode(raw).decode().rstrip("="), raw[:16].hex()):
            assert references.wrong_with(token) != ""
            assert references.wrong_with(f"vault://payments/{token}") != ""


@pytest.mark.django_db
def test_a_credential_belongs_to_one_row() -> None:
    first, second = make_draft(), make_draft()
    reference = {"reference": "vault://payments/refund-desk"}
    kept = services.add_credential_reference(agent_id=first.pk, by=first.owner, **reference)

    again = services.add_credential_reference(agent_id=first.pk, by=first.owner, **reference)

    assert again == kept
    with pytest.raises(Conflict) as caught:
        services.add_credential_reference(agent_id=second.pk, by=second.owner, **reference)
    assert caught.value.message == (f"This credential belongs to {first.slug}: no shared accounts.")
    with pytest.raises(LooksLikeSecret):
        services.add_credential_reference(agent_id=first.pk, by=first.owner, reference=BAD[4])
    services.remove_credential_reference(agent_id=first.pk, by=first.owner, **reference)
    assert CredentialReference.objects.count() == 0
