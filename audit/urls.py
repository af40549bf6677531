"""The trail."""

from __future__ import annotations

from django.urls import path

from audit import views

urlpatterns = [
    path("trail/", views.trail, name="trail"),
    path("trail/export.<str:form>", views.export, name="trail_export"),
    path("trail/<uuid:pk>/", views.record, name="record"),
    path("trail/<uuid:pk>/payload/<slug:field>/", views.payload, name="record_payload"),
]
