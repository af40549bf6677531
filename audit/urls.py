"""The trail."""

from __future__ import annotations

from django.urls import path

from audit import api as records
from audit import export_api, export_views, proof_views, views
from audit.sealing import api, pages
from audit.siem import pages as streams

urlpatterns = [
    path("trail/", views.trail, name="trail"),
    path("trail/export/", export_views.forms, name="trail_exports"),
    path("trail/export.<str:form>", export_views.export, name="trail_export"),
    path("api/v1/records/export", export_api.RecordExport.as_view(), name="api_record_export"),
    path("proof/export.jsonl", proof_views.export, name="proof_export"),
    path("proof/streams/", streams.streams, name="streams"),
    path("api/v1/streams", streams.Streams.as_view(), name="api_streams"),
    path("proof/<str:name>", proof_views.verifier, name="proof_verifier"),
    path("trail/<uuid:pk>/", views.record, name="record"),
    path("trail/<uuid:pk>/proof", pages.record_proof, name="record_proof"),
    path("proof/", pages.proof, name="proof"),
    path("log/keys", pages.public_keys, name="log_keys"),
    path("log/checkpoint", pages.checkpoint, name="log_checkpoint"),
    path("api/v1/log", api.Log.as_view(), name="api_log"),
    path("api/v1/records", records.Records.as_view(), name="api_records"),
    path("api/v1/records/<uuid:pk>", records.OneRecord.as_view(), name="api_record"),
    path("api/v1/records/<uuid:pk>/proof", api.RecordProof.as_view(), name="api_record_proof"),
    path("trail/<uuid:pk>/payload/<slug:field>/", views.payload, name="record_payload"),
]
