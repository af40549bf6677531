from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The record."""

    name = "audit"
    verbose_name = "Record"
