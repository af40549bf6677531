"""One tree of errors. A subclass is a sentence, a stable code and an HTTP status.

Services raise these; edges show them (`governance.kernel.api` as RFC 9457 problems, the site as
messages). Branch on the class or on `code`, never on the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class GovernanceError(Exception):
    """Muster could not do this."""

    code = "error"
    status = 400

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        fields: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        if code:
            self.code = code
        self.fields = {name: list(errors) for name, errors in (fields or {}).items()}
        super().__init__(self.message)

    @property
    def sentences(self) -> str:
        """What to tell a person who sees no fields."""
        return self.message


class Invalid(GovernanceError):
    """Something in the input is not right."""

    code = "invalid"
    status = 400

    @property
    def sentences(self) -> str:
        """What is wrong with each field, where that is said."""
        return " ".join(each for errors in self.fields.values() for each in errors) or self.message


class NotSignedIn(GovernanceError):
    """Sign in, or send a valid token."""

    code = "not_signed_in"
    status = 401


class NotAllowed(GovernanceError):
    """You may not do this."""

    code = "not_allowed"
    status = 403


class NotFound(GovernanceError):
    """There is no such thing, or you may not see it."""

    code = "not_found"
    status = 404


class Conflict(GovernanceError):
    """Someone else changed this first. Load it again and repeat what you meant."""

    code = "conflict"
    status = 409


class Unavailable(GovernanceError):
    """Muster cannot answer at the moment. Nothing was done; try again."""

    code = "unavailable"
    status = 503


class DatabaseUnavailable(Unavailable):
    """The database did not answer. Look whether a change was made before you send it again."""

    code = "database_unavailable"
