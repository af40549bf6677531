"""Lifecycle in the admin: alerts, for security, the DPO and auditors."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from lifecycle.anomalies import selectors
from lifecycle.models import Anomaly
from lifecycle.reviews import admin as _reviews  # noqa: F401  (registers its pages)
from registry.admin import LookedAt
from registry.enums import GroupName
from registry.models import Person
from registry.people import signed_in
from registry.permissions import in_group

READERS = (GroupName.SECURITY, GroupName.DPO, GroupName.AUDITOR)


@admin.register(Anomaly)
class AnomalyAdmin(LookedAt):
    """The list; each alert is looked at and answered on its page of the site."""

    list_display = ["window", "agent", "tool", "kind", "observed", "limit", "state", "answered_by"]
    list_filter = ["state", "kind"]
    search_fields = ["agent__slug", "tool"]
    ordering = ["-window"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The sign-in page asks as well, of nobody.
        return isinstance(request.user, Person) and in_group(request.user, *READERS)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> Any:
        return selectors.alerts(signed_in(request))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        return redirect("anomaly", pk=found.pk) if found else redirect("anomalies")
