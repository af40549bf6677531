from governance.kernel.errors import GovernanceError, Invalid, NotFound, Unavailable


class AuditUnavailable(Unavailable):
    """This could not be recorded, so it was not done. Try again."""

    code = "audit_unavailable"


class NotRecordable(Invalid):
    """This cannot be written into the record as it is."""

    code = "not_recordable"


class SecretFound(NotRecordable):
    """This holds what looks like a credential, and credentials are never recorded. Remove it."""

    code = "secret_found"


class PayloadErased(GovernanceError):
    """The key of this payload was erased. The entry and its proof remain."""

    code = "payload_erased"
    status = 410


class PayloadMissing(NotFound):
    """This entry has no such payload."""

    code = "payload_missing"


class PayloadDamaged(GovernanceError):
    """This payload does not open with its key: it was altered, or belongs to another entry."""

    code = "payload_damaged"
    status = 500


class UnknownRecord(NotFound):
    """There is no such entry, or you may not see it."""

    code = "unknown_record"


class SearchTooSlow(Unavailable):
    """The search took longer than 5 s and was stopped. Narrow the time."""

    code = "search_too_slow"


class BadCursor(Invalid):
    """This page does not exist. Start the search again."""

    code = "bad_cursor"


class UnknownFilter(Invalid):
    """There is no such filter."""

    code = "unknown_filter"


class UnknownPerson(Invalid):
    """Nobody of that name or e-mail is on the register."""

    code = "unknown_person"
