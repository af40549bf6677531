"""Who may see evidence, have reports made, and hand them out."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from registry.enums import GroupName
from registry.models import Person
from registry.permissions import in_group

READERS = (GroupName.AUDITOR, GroupName.DPO, GroupName.SECURITY, GroupName.PLATFORM_ADMIN)
MAKERS = (GroupName.AUDITOR, GroupName.DPO, GroupName.SECURITY)
SUBJECT_DESK = (GroupName.DPO, GroupName.SECURITY)
SUBJECT_READERS = (GroupName.DPO, GroupName.SECURITY, GroupName.AUDITOR)
PLANNERS = (GroupName.DPO, GroupName.SECURITY)


def check_can_see_evidence(by: Person) -> None:
    """See how the controls stand: figures and names of the whole company."""
    if not in_group(by, *READERS):
        raise NotAllowed("Only auditors, the DPO, security and platform admins see the evidence.")


def check_can_make_reports(by: Person) -> None:
    """Have a report made, and fetch it: it holds names and records of the whole company."""
    if not in_group(by, *MAKERS):
        raise NotAllowed("Only auditors, the DPO and security have reports made and fetch them.")


def check_can_plan_reports(by: Person) -> None:
    """Have reports made by the clock, and hand out links to them."""
    if not in_group(by, *PLANNERS):
        raise NotAllowed("Only the DPO and security plan reports and hand out links to them.")


def check_can_see_subjects(by: Person) -> None:
    """See requests of data subjects, legal holds, and what is kept for how long."""
    if not in_group(by, *SUBJECT_READERS):
        raise NotAllowed("Only the DPO, security and auditors see requests of data subjects.")


def check_can_handle_subjects(by: Person) -> None:
    """Open and answer requests, ask for an erasure, set a legal hold."""
    if not in_group(by, *SUBJECT_DESK):
        raise NotAllowed("Only the DPO and security handle requests of data subjects.")


def check_can_export_subject(by: Person) -> None:
    """Open everything that lies sealed of a subject, to hand it to them."""
    if not in_group(by, GroupName.DPO):
        raise NotAllowed("Only the DPO exports what is held of a data subject.")


def check_can_approve_erasure(by: Person) -> None:
    """Be the second person of an erasure, or of the end of a legal hold."""
    if not in_group(by, GroupName.DPO):
        raise NotAllowed("Only the DPO agrees to an erasure, or to the end of a legal hold.")


def check_can_agree_to_drop(by: Person, *, asked_by: Person) -> None:
    """Be the second person who has a month of the record dropped: the DPO where security asked,
    security where the DPO did."""
    pairs = ((GroupName.DPO, GroupName.SECURITY), (GroupName.SECURITY, GroupName.DPO))
    if not any(in_group(by, mine) and in_group(asked_by, other) for mine, other in pairs):
        raise NotAllowed("Security and the DPO drop a part of the record, one of each.")
