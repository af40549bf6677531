"""Evidence."""

from __future__ import annotations

from django.urls import include, path

from compliance import api, report_views, views
from compliance.incident import api as incident_api
from compliance.incident import views as incidents
from compliance.retention import views as retention
from compliance.subjects import api as subject_api
from compliance.subjects import views as subjects

urlpatterns = [
    path("", include("compliance.selfaudit.urls")),
    path("", include("compliance.dashboard.urls")),
    path("api/v1/evidence", api.Evidence.as_view(), name="api_evidence"),
    path("api/v1/evidence/reports", api.Reports.as_view(), name="api_reports"),
    path("api/v1/evidence/reports/<uuid:pk>", api.OneReport.as_view(), name="api_report"),
    path("api/v1/evidence/reports/<uuid:pk>/files/<str:name>", api.OneReportFile.as_view()),
    path("api/v1/evidence/<slug:framework_id>", api.OneFramework.as_view()),
    path("api/v1/evidence/<slug:framework_id>/<slug:control_id>", api.OneLine.as_view()),
    path("api/v1/incidents", incident_api.Incidents.as_view(), name="api_incidents"),
    path("incident/", incidents.incident, name="incident"),
    path("incident/report.pdf", incidents.on_paper, name="incident_pdf"),
    path("api/v1/subjects/find", subject_api.Find.as_view(), name="api_subjects_find"),
    path("api/v1/subjects/held", subject_api.Held.as_view(), name="api_subjects_held"),
    path("api/v1/subjects/requests", subject_api.Requests.as_view(), name="api_subjects"),
    path("api/v1/subjects/requests/<uuid:pk>", subject_api.OneRequest.as_view()),
    path("api/v1/subjects/requests/<uuid:pk>/export", subject_api.Export.as_view()),
    path("api/v1/subjects/requests/<uuid:pk>/certificate", subject_api.Certificate.as_view()),
    path("api/v1/subjects/requests/<uuid:pk>/<str:word>", subject_api.Act.as_view()),
    path("subjects/", subjects.subjects, name="subjects"),
    path("subjects/find/", subjects.find, name="subject_find"),
    path("subjects/of/", subjects.subject, name="subject"),
    path("subjects/open/", subjects.open_request, name="subject_request_open"),
    path("subjects/holds/", subjects.holds, name="legal_holds"),
    path("subjects/holds/set/", subjects.set_hold, name="legal_hold_set"),
    path("subjects/holds/<uuid:pk>/lift/", subjects.lift_hold, name="legal_hold_lift"),
    path("subjects/<uuid:pk>/", subjects.one, name="subject_request"),
    path("subjects/<uuid:pk>/erase/", subjects.erase, name="subject_erase"),
    path("subjects/<uuid:pk>/extend/", subjects.extend, name="subject_extend"),
    path("subjects/<uuid:pk>/close/", subjects.close, name="subject_close"),
    path("subjects/<uuid:pk>/export.json", subjects.export, name="subject_export"),
    path(
        "subjects/<uuid:pk>/certificate-<int:edition>.<str:form>",
        subjects.fetch_certificate,
        name="subject_certificate",
    ),
    path("retention/", retention.retention, name="retention"),
    path("retention/<str:month>/drop/", retention.propose_drop, name="record_drop"),
    path("evidence/", views.overview, name="evidence"),
    path("evidence/compare/", views.compare, name="evidence_compare"),
    path("evidence/key.pem", report_views.key, name="evidence_key"),
    path("evidence/reports/", report_views.reports, name="evidence_reports"),
    path("evidence/reports/ask/", report_views.ask, name="evidence_report_ask"),
    path("evidence/reports/plan/", report_views.plan, name="evidence_plan"),
    path("evidence/reports/plan/<int:pk>/end/", report_views.end_plan, name="evidence_plan_end"),
    path("evidence/reports/<uuid:pk>/", report_views.report, name="evidence_report"),
    path("evidence/reports/<uuid:pk>/progress/", report_views.progress, name="evidence_progress"),
    path("evidence/reports/<uuid:pk>/again/", report_views.again, name="evidence_report_again"),
    path("evidence/reports/<uuid:pk>/link/", report_views.link, name="evidence_link_new"),
    path("evidence/reports/<uuid:pk>/get/<str:name>", report_views.fetch, name="evidence_fetch"),
    path("evidence/links/<uuid:pk>/end/", report_views.end_link, name="evidence_link_end"),
    path("evidence/by-link/<str:token>/", report_views.by_link, name="evidence_link"),
    path(
        "evidence/by-link/<str:token>/<str:name>",
        report_views.fetch_by_link,
        name="evidence_link_fetch",
    ),
    path("evidence/<slug:framework_id>/", views.one_framework, name="evidence_framework"),
    path("evidence/<slug:framework_id>/annex/<slug:name>/", views.annex, name="evidence_annex"),
    path(
        "evidence/<slug:framework_id>/annex/<slug:name>.csv", views.annex_csv, name="evidence_csv"
    ),
    path("evidence/<slug:framework_id>/<slug:control_id>/", views.control, name="evidence_control"),
]
