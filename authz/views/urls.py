"""Previews, the simulator and coverage: pages and REST."""

from __future__ import annotations

from django.urls import path, register_converter

from authz.api import whatif as api
from authz.views import coverage, previews, simulator


class Kind:
    """Which of a preview's two lists."""

    regex = "changed|moved"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(Kind, "preview_kind")

urlpatterns = [
    path("policies/<str:slug>/preview/<str:version>/", previews.policy, name="policy_preview"),
    path("preview/", previews.previews, name="previews"),
    path("preview/policy/<str:slug>/", previews.policy_text, name="preview_policy"),
    path("preview/role/<str:slug>/", previews.role, name="preview_role"),
    path("preview/agent/<str:slug>/", previews.allowlist, name="preview_allowlist"),
    path("preview/system/<str:slug>/", previews.system, name="preview_system"),
    path("preview/<uuid:pk>/", previews.preview, name="preview"),
    path("preview/<uuid:pk>/progress/", previews.progress, name="preview_progress"),
    path("preview/<uuid:pk>/again/", previews.again, name="preview_again"),
    path(
        "preview/<uuid:pk>/<preview_kind:kind>/<int:position>/",
        previews.difference,
        name="preview_difference",
    ),
    path("simulator/", simulator.simulator, name="simulator"),
    path("simulator/example/", simulator.example, name="simulator_example"),
    path("coverage/", coverage.covered, name="coverage"),
    path("api/v1/previews", api.Previews.as_view(), name="api_previews"),
    path("api/v1/previews/<str:pk>", api.OnePreview.as_view(), name="api_preview"),
    path(
        "api/v1/previews/<str:pk>/differences",
        api.PreviewDifferences.as_view(),
        name="api_preview_differences",
    ),
    path("api/v1/simulations", api.Simulations.as_view(), name="api_simulations"),
    path("api/v1/coverage", api.Coverage.as_view(), name="api_coverage"),
]
