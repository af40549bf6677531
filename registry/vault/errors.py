"""What the vault refuses. No sentence here ever holds a value."""

from __future__ import annotations

from governance.kernel.errors import (
    Conflict,
    GovernanceError,
    Invalid,
    NotAllowed,
    NotFound,
    Unavailable,
)


class VaultUnavailable(Unavailable):
    """The vault does not answer, so no credential leaves it. Try again."""

    code = "vault_unavailable"


class WrongVaultKey(Unavailable):
    """This secret is wrapped under a key that is not here. Put back the key file of its time."""

    code = "vault_wrong_key"


class SecretDamaged(GovernanceError):
    """This secret does not open: it was altered, or belongs to another credential. Rotate it."""

    code = "vault_damaged"
    status = 500


class UnknownCredential(NotFound):
    """There is no such credential, or it is not yours."""

    code = "unknown_credential"


class NothingStored(NotFound):
    """Nothing is stored at this reference. Its owner stores the secret on the agent's page."""

    code = "nothing_stored"


class NoBackEnd(Invalid):
    """No vault of this installation keeps such a reference. MUSTER_VAULTS switches vaults on."""

    code = "no_back_end"


class BadSecret(Invalid):
    """A secret is a text of 1 to 65,536 bytes in UTF-8. Encode anything else as base64 first."""

    code = "bad_secret"


class CredentialRevoked(NotAllowed):
    """This credential was revoked, so nobody gets it any more. Name a new one."""

    code = "credential_revoked"


class AlreadyStored(Conflict):
    """A secret is stored here already. Rotate it instead."""

    code = "already_stored"


class BeingRotated(Conflict):
    """This credential is being rotated at this moment. Look again in a few minutes."""

    code = "being_rotated"


class CannotRotate(Conflict):
    """Muster cannot make a new value for this credential. Enter the new one."""

    code = "cannot_rotate"


class NotYours(Conflict):
    """Something that is not this agent's lies at this reference already. Choose another one."""

    code = "not_yours"


class NoFreshDecision(NotAllowed):
    """A credential leaves only on a fresh, unused decision for it. Ask for a lease."""

    code = "no_fresh_decision"
