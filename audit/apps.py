from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The record."""

    name = "audit"
    verbose_name = "Record"

    def ready(self) -> None:
        # It reads the settings, which are complete from here on.
        from audit.anchors import configured as anchors  # noqa: PLC0415
        from audit.siem import configured as streams  # noqa: PLC0415

        anchors.check()
        streams.check()
