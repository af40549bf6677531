"""Reports, schedules and links; requests of data subjects and what is kept for how long."""

from compliance.models.reports import DownloadLink, Report, ReportFile, ReportSchedule
from compliance.models.subjects import RetentionPlan, SubjectCertificate, SubjectRequest

__all__ = [
    "DownloadLink",
    "Report",
    "ReportFile",
    "ReportSchedule",
    "RetentionPlan",
    "SubjectCertificate",
    "SubjectRequest",
]
